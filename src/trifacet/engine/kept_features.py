"""What a frozen vision encoder makes of pictures, kept on disk: policy, reference and all epochs encode each once.

What is kept is what the encoder hands to the projector, which may train. Used again, it is put in the projector's way
while the model runs its own ``get_image_features`` with the encoder's layers left out; so the engine needs to know
nothing of how a family packs its features.

Invariant: what is kept of a picture depends on its pixels and the encoder's weights alone, since every picture is
encoded by itself: never on the batch, on what is kept already, or on a restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn

from trifacet.base.errors import TrifacetError
from trifacet.base.files import cannot_write
from trifacet.engine.family import Family
from trifacet.engine.forwards import left_out

ROOM = 2**26  # bytes beside what is kept: the file's own pages
PIXELS = "pixel_values"


class Shown(NamedTuple):
    """A distinct picture of a batch: its key, how many rows of ``pixel_values`` it takes, whether it comes again."""

    key: str
    rows: int
    again: bool = True


class KeptFeatures:
    """A file of features by picture, for one encoder; processes of one machine share it.

    Args:
        folder: of the file; made where it is missing.
        most_bytes: of what is kept. When it is full what is there stays, and other pictures are encoded each time.

    Attributes:
        encoded: how often each picture went through the encoder.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.encoded = folder, Counter[str]()
        self._most = most_bytes
        self._open: Any = None

    def close(self) -> None:
        """Let the file go; it is opened anew when it is wanted."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def features(
        self, model: nn.Module, family: Family, images: Mapping[str, Tensor], shown: Sequence[Shown]
    ) -> list[Any]:
        """What ``family.features`` gives of a batch's pictures, those that are not kept encoded one by one.

        Args:
            model: whose vision encoder is frozen.
            family: its family.
            images: as ``family.collate`` made them.
            shown: the pictures, in their order.

        Raises:
            TrifacetError: a full disk.
        """
        known = self._read([one.key for one in shown])
        new: dict[str, list[Tensor]] = {}
        at = 0
        for number, one in enumerate(shown):
            if one.key not in known:
                single = {
                    name: values[at : at + one.rows] if name == PIXELS else values[number : number + 1]
                    for name, values in images.items()
                }
                known[one.key] = _encoded(model, family, single)
                self.encoded[one.key] += 1
                if one.again:
                    new[one.key] = known[one.key]
            at += one.rows
        if new:
            self._keep(new)
        device = images[PIXELS].device
        parts = zip(*(known[one.key] for one in shown), strict=True)
        given = [torch.cat([part.to(device) for part in of_projector]) for of_projector in parts]
        with left_out(vision_layers(model, family)), _given(projectors(model, family), given):
            return family.features(model, **images)

    def _file(self) -> Any:
        if self._open is None:
            import lmdb

            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._open = lmdb.open(str(self.folder), map_size=self._most + ROOM)
            except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError) as error:
                raise TrifacetError(f"{self.folder} is damaged ({error}); delete it to have it made anew") from None
            except (OSError, lmdb.Error) as error:
                raise cannot_write(self.folder, OSError(str(error))) from None
        return self._open

    def _read(self, keys: Sequence[str]) -> dict[str, list[Tensor]]:
        with self._file().begin() as reading:
            found = {key: reading.get(key.encode()) for key in keys}
        unpacked = {key: _unpacked(value) for key, value in found.items() if value is not None}
        return {key: tensors for key, tensors in unpacked.items() if tensors}

    def _keep(self, new: Mapping[str, list[Tensor]]) -> None:
        import lmdb

        try:
            with self._file().begin(write=True) as writing:
                for key, tensors in new.items():
                    writing.put(key.encode(), _packed(tensors))
        except lmdb.MapFullError:
            pass
        except lmdb.Error as error:
            raise cannot_write(self.folder, OSError(str(error))) from None


def _encoded(model: nn.Module, family: Family, images: Mapping[str, Tensor]) -> list[Tensor]:
    """What the encoder hands to each projector, of one picture."""
    caught: dict[int, Tensor] = {}

    def catch(number: int) -> Callable[[nn.Module, Any], None]:
        def put(module: nn.Module, arguments: Any) -> None:
            caught[number] = arguments[0].detach()

        return put

    vision = family.parts(model)["vision"]
    trained = [module for module in vision.modules() if module.training]
    with torch.no_grad(), _hooked(projectors(model, family), catch):
        try:
            vision.eval()
            family.features(model, **images)
        finally:
            for module in trained:
                module.training = True
    return [caught[number] for number in sorted(caught)]


def _given(modules: Sequence[nn.Module], inputs: Sequence[Tensor]) -> Any:
    """A block in which modules take ``inputs`` instead of what they are called with."""
    return _hooked(modules, lambda number: lambda module, arguments: (inputs[number], *arguments[1:]))


@contextmanager
def _hooked(modules: Sequence[nn.Module], hook: Callable[[int], Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for number, module in enumerate(modules):
            stack.callback(module.register_forward_pre_hook(hook(number)).remove)
        yield


def projectors(model: nn.Module, family: Family) -> list[nn.Module]:
    """The modules that take what the vision encoder makes."""
    return list(_called(family.parts(model)["projector"]))


def _called(module: nn.Module) -> Iterator[nn.Module]:
    if isinstance(module, nn.ModuleList):
        for part in module:
            yield from _called(part)
    elif not isinstance(module, nn.ParameterList):
        yield module


def vision_layers(model: nn.Module, family: Family) -> list[nn.Module]:
    """The vision encoder's layers: the members of its lists of like modules, each of which hands on hidden states."""
    lists = [one for one in family.parts(model)["vision"].modules() if isinstance(one, nn.ModuleList)]
    return [layer for one in lists if len(set(map(type, one))) == 1 for layer in one]


def _packed(tensors: Sequence[Tensor]) -> bytes:
    return safetensors.torch.save({str(number): one.cpu().contiguous() for number, one in enumerate(tensors)})


def _unpacked(value: bytes) -> list[Tensor]:
    """The tensors; none where they are damaged."""
    try:
        read = safetensors.torch.load(value)
    except safetensors.SafetensorError:
        return []
    return [read[name] for name in sorted(read, key=int)]
