"""A real WordPress on loopback: Debian's packages wordpress, php-cli, php-mysql and mariadb-server.

Everything lies in a folder of the test's own: a copy of WordPress, a database that listens at a socket file alone,
PHP's own web server at 127.0.0.1. All of it ends with the block, whatever happens in it.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path("/usr/share/wordpress")
PROGRAMS = ("php", "mariadbd", "mariadb-install-db")
_SECONDS = 60  # for each step of setting up
_CONFIG = """<?php
define('DB_NAME', 'wordpress'); define('DB_USER', 'root'); define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:%(socket)s'); define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
define('WP_HOME', '%(address)s'); define('WP_SITEURL', '%(address)s');
define('WP_ENVIRONMENT_TYPE', 'local');  // application passwords without https
define('WP_HTTP_BLOCK_EXTERNAL', true); define('DISABLE_WP_CRON', true); define('AUTOMATIC_UPDATER_DISABLED', true);
define('WP_DEBUG', false);
foreach (array('AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT',
    'LOGGED_IN_SALT', 'NONCE_SALT') as $name) { define($name, $name . '-of-a-test'); }
$table_prefix = 'wp_';
if (!defined('ABSPATH')) { define('ABSPATH', __DIR__ . '/'); }
require_once ABSPATH . 'wp-settings.php';
"""
_INSTALL = """
define('WP_INSTALLING', true);
require 'wp-load.php'; require_once ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install('Test site', 'admin', 'admin@example.org', true, '', 'no-password-that-is-used');
update_option('permalink_structure', '/%postname%/');
"""
# A user of a role with an application password, as WordPress itself makes it.
_USER = """
require 'wp-load.php';
$known = get_user_by('login', $argv[1]);
$id = $known ? $known->ID : wp_insert_user(array('user_login' => $argv[1], 'user_pass' => wp_generate_password(),
    'user_email' => $argv[1] . '@example.org', 'role' => $argv[2]));
list($password) = WP_Application_Passwords::create_new_application_password($id, array('name' => 'test ' . wp_rand()));
echo json_encode(array('id' => $id, 'password' => WP_Application_Passwords::chunk_password($password)));
"""


def missing() -> str:
    """Which of the packages is not there; "" where all are."""
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    lacking += [] if (SOURCE / "wp-load.php").is_file() else ["wordpress"]
    if not lacking:
        told = subprocess.run(["php", "-m"], capture_output=True, text=True, timeout=_SECONDS, check=False)
        lacking += [] if "mysqli" in told.stdout.split() else ["php-mysql"]
    return ", ".join(lacking)


class RealWordPress:
    """``address`` is the site's, ``folder`` the copy of WordPress, ``database`` the socket of MariaDB."""

    def __init__(self, folder: Path, database: Path, address: str) -> None:
        self.folder, self.database, self.address = folder, database, address
        self.version = ""

    def php(self, code: str, *arguments: str) -> str:
        """What a piece of PHP prints, run in the folder of WordPress."""
        script = self.folder.parent / "script.php"
        script.write_text(f"<?php\n{code}", encoding="utf-8")
        told = subprocess.run(
            ["php", "-d", "sendmail_path=/bin/true", "-d", "display_errors=stderr", str(script), *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert told.returncode == 0, told.stderr + told.stdout
        return told.stdout

    def user(self, name: str, role: str) -> tuple[int, str]:
        """The number of a user, made if need be, and a new application password of that user's."""
        told = json.loads(self.php(_USER, name, role))
        return told["id"], told["password"]

    def plugin(self, name: str, code: str) -> None:
        """A plugin that is always on; "" takes it off."""
        file = self.folder / "wp-content" / "mu-plugins" / f"{name}.php"
        file.parent.mkdir(exist_ok=True)
        if code:
            file.write_text(f"<?php\n{code}", encoding="utf-8")
        else:
            file.unlink(missing_ok=True)

    def rows(self, table: str, where: str = "1") -> list[dict[str, str]]:
        """Rows of a table as the database has them."""
        code = (
            "require 'wp-load.php'; global $wpdb; echo json_encode($wpdb->get_results("
            '"SELECT * FROM {$wpdb->prefix}$argv[1] WHERE $argv[2] ORDER BY 1", ARRAY_A), JSON_THROW_ON_ERROR);'
        )
        return json.loads(self.php(code, table, where))

    def export(self) -> bytes:
        """The export file, as WordPress's own page for it writes it."""
        code = (
            "error_reporting(0); define('WP_ADMIN', true); require 'wp-load.php'; "
            "require_once ABSPATH . 'wp-admin/includes/admin.php'; "
            "require_once ABSPATH . 'wp-admin/includes/export.php'; wp_set_current_user(1); "
            "export_wp(array('content' => 'all'));"
        )
        script = self.folder.parent / "export.php"
        script.write_text(f"<?php\n{code}", encoding="utf-8")
        told = subprocess.run(["php", str(script)], cwd=self.folder, capture_output=True, timeout=_SECONDS, check=True)
        return told.stdout


@contextmanager
def real_wordpress(folder: Path):
    """WordPress as it is after its installation, with the user ``admin``."""
    started: list[subprocess.Popen] = []
    try:
        database = _database(folder, started)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        root = folder / "wordpress"
        left_out = shutil.ignore_patterns("wp-content", "wp-config.php", "*.map")
        shutil.copytree(SOURCE, root, ignore=left_out, ignore_dangling_symlinks=True)
        (root / "wp-content" / "uploads").mkdir(parents=True)
        (root / "wp-content" / "themes").mkdir()
        (root / "wp-config.php").write_text(_CONFIG % {"socket": database, "address": address}, encoding="utf-8")
        site = RealWordPress(root, database, address)
        site.php(_INSTALL)
        site.version = site.php("require 'wp-includes/version.php'; echo $wp_version;")
        started.append(
            subprocess.Popen(
                ["php", "-q", "-S", f"127.0.0.1:{port}", "-t", str(root)],
                env={**os.environ, "PHP_CLI_SERVER_WORKERS": "2"},
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=(folder / "php.log").open("wb"),
            )
        )
        _wait(lambda: urllib.request.urlopen(f"{address}/?rest_route=/", timeout=20).status == 200)
        yield site
    finally:
        for process in reversed(started):
            _end(process)


def _database(folder: Path, started: list[subprocess.Popen]) -> Path:
    data, place = folder / "database", folder / "db.sock"
    assert len(str(place)) < 100  # sockets have short names
    owner = f"--user={os.environ.get('USER', 'root') if os.getuid() else 'root'}"
    subprocess.run(
        [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            owner,
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        ],
        check=True,
        capture_output=True,
        timeout=_SECONDS,
    )
    started.append(
        subprocess.Popen(
            [
                "mariadbd",
                "--no-defaults",
                f"--datadir={data}",
                f"--socket={place}",
                f"--pid-file={folder / 'db.pid'}",
                owner,
                "--skip-networking",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-buffer-pool-size=32M",
            ],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(folder / "db.log").open("wb"),
        )
    )
    client = ["mariadb", "--no-defaults", f"--socket={place}", "-uroot", "-e"]
    make = "CREATE DATABASE IF NOT EXISTS wordpress CHARACTER SET utf8mb4"
    _wait(lambda: subprocess.run([*client, make], capture_output=True, timeout=20, check=False).returncode == 0)
    return place


def _wait(there) -> None:
    end = time.monotonic() + _SECONDS
    while True:
        try:
            if there():
                return
        except OSError:
            pass
        assert time.monotonic() < end, "it did not start"
        time.sleep(0.1)


def _end(process: subprocess.Popen) -> None:
    """A process that was started here, with its workers."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(15)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return
