"""Words to be drawn: those of signs, covers and menus. Invariant: none is among those that the engine was tuned on."""

from __future__ import annotations

import unicodedata

import numpy as np

_SAID = {  # parted by |
    "English": "Fresh bread daily|No entry|Mind the gap|Farmers Market|A Tale of Two Cities|Please ring the bell|"
    "Staff only|Grand Opening|Spring Concert|Platform Four|Queue here|Homemade lemonade|Beware of the dog|"
    "Winter Wardrobe|Easy Pumpkin Soup|Lost and Found",
    "German": "Täglich geöffnet|Zutritt verboten|Größe und Maß|Grüne Äpfel|Überraschung für Dich|Straße gesperrt|"
    "Käse und Würste|Schöne Grüße|Vorsicht Glätte|Hausgemachte Klöße|Zum Bahnhof|Ökologisch gebaut|Rückgabe hier|"
    "Jäger und Köche|Die Verwandlung|Süße Träume",
    "French": "Défense d'entrer|Entrée libre|Pâtisserie Élodie|Forêt enchantée|Où est la gare|Menu du jour|"
    "Fromage de chèvre|Garçon et fille|L'Étranger|Prêt à porter|Noël à Besançon|Près de l'église|Tirez la porte|"
    "Crème brûlée|Œufs frais|Bibliothèque",
    "Spanish": "Pan recién hecho|Se vende piso|¿Dónde está?|Salón de baño|Corazón de melón|Año nuevo|Peña y Muñoz|"
    "Cien años de soledad|Paella de mariscos|Cuidado con el perro|Información|Jardín botánico|¡Qué rico!|"
    "Panadería López|Calle Ordóñez|Música en vivo",
    "Polish": "Świeży chleb|Wstęp wzbroniony|Zupa ogórkowa|Miód z łąki|Książki używane|Dzień dobry|Gęś pieczona|"
    "Łódź Fabryczna|Uwaga, zły pies|Święta i goście|Źródło wody|Tańsze bilety|Ćwiczenia dla dzieci|Kościół i rynek|"
    "Otwarte całą dobę|Pączki świeże",
    "Czech": "Čerstvý chléb|Vstup zakázán|Příští zastávka|Žluté květy|Ďábelské toasty|Řízek s bramborem|Město Třebíč|"
    "Děti zdarma|Šťastnou cestu|Kůň a žába|Výprodej obuvi|Pražská ulice|Teplé nápoje|Úřední hodiny|Dům č. pátý|"
    "Ňuf a jeho přátelé",
    "Turkish": "Taze ekmek|Girmek yasaktır|Balık çorbası|Güneşli gün|Kitapçı dükkânı|İyi yolculuklar|Ağaç gölgesi|"
    "Öğle yemeği|Şehir rehberi|Küçük kız|Işıklı sokak|Üç çocuk|Bugün açığız|Yağmurlu akşam|İstanbul Boğazı|"
    "Çiçek bahçesi",
    "Vietnamese": "Cấm hút thuốc|Bánh mì nóng|Cửa hàng sách|Lối thoát hiểm|Phở bò Hà Nội|Đường Nguyễn Huệ|Giảm giá|"
    "Nhà thuốc tây|Xin giữ yên lặng|Cà phê sữa đá|Chúc mừng năm mới|Vé xem phim|Trường tiểu học|Bến xe miền Đông|"
    "Trà sen|Kính mời quý khách",
    "Chinese": "禁止入内|新鲜水果|营业时间|红楼梦|小心台阶|牛肉面馆|地铁三号线|中央图书馆|春节快乐|停车场入口|手工饺子|"
    "请排队等候|北京大学|海边的小屋|打折商品|非常感谢",
    "Japanese": "立入禁止|本日のおすすめ|駅前の本屋|おにぎり|営業中です|さくら祭り|ラーメン横丁|出口はこちら|"
    "夏休みの宿題|きつねうどん|東京タワー|ご自由にどうぞ|雪国|コーヒーとケーキ|足元に注意|図書館",
}
_OTHER = {
    "Cyrillic": "Свежий хлеб|Вход запрещён|Война и мир|Книжный магазин|Осторожно, злая собака|Площадь Победы|"
    "Горячие блины|Аптека за углом|Свіжий хліб|Українська вулиця|Прясна баница|Добре дошли|Весенний концерт|"
    "Касса номер|Тихая гавань|Бабушкин пирог",
    "Greek": "Φρέσκο ψωμί|Απαγορεύεται η είσοδος|Βιβλιοπωλείο|Ελληνική κουζίνα|Προσοχή σκύλος|Πλατεία Συντάγματος|"
    "Καλή όρεξη|Σπιτική λεμονάδα|Η Οδύσσεια|Ανοιχτά όλη μέρα|Θέατρο σκιών|Ψάρια και μύδια|Χειμωνιάτικη σούπα|ΕΙΣΟΔΟΣ|"
    "Μουσική βραδιά|Γειά σου",
    "Arabic": "خبز طازج|ممنوع الدخول|ألف ليلة وليلة|مكتبة المدينة|احذر الكلب|ساحة التحرير|عصير ليمون|مفتوح كل يوم|"
    "شوربة عدس|صيدلية الشفاء|موسيقى حية|حلويات شامية|باب الخروج|أهلا وسهلا|سوق السمك|قهوة عربية",
    "Hebrew": "לחם טרי|הכניסה אסורה|חנות ספרים|זהירות כלב נושך|כיכר הבימה|לימונדה ביתית|פתוח כל היום|מרק עדשים|"
    "בית מרקחת|שנה טובה|קפה ומאפה|שוק הדגים|מוזיקה חיה|יציאה לרחבה|ברוכים הבאים|סיפור אהבה",
}
READABLE = {name: tuple(unicodedata.normalize("NFC", said).split("|")) for name, said in _SAID.items()}
UNREADABLE = {name: tuple(said.split("|")) for name, said in _OTHER.items()}
MIXED = ("English", "German", "French", "Spanish", "Polish", "Czech", "Turkish")  # and numbers: of all but the letters
NUMBERS = "numbers"


def drawn_texts(letters: str, count: int, rng: np.random.Generator) -> list[str]:
    """Texts of a language (or of ``NUMBERS``, or ``"mixed"``), none twice."""
    if letters == NUMBERS:
        return [_number(rng) for _ in range(count)]
    if letters == "mixed":
        pool = [text for name in MIXED for text in READABLE[name]]
        pool += [_number(rng) for _ in range(len(pool) // len(MIXED))]
    else:
        pool = list(READABLE.get(letters) or UNREADABLE[letters])
    return [pool[at] for at in rng.permutation(len(pool))[:count]]


def _number(rng: np.random.Generator) -> str:
    """A price, a day, a time, a telephone number or a house's."""
    high, low = int(rng.integers(1, 1900)), int(rng.integers(0, 100))
    day, month = int(rng.integers(1, 32)), int(rng.integers(1, 13))
    forms = (
        f"€{high},{low:02d}",
        f"${high}.{low:02d}",
        f"{high},{low:02d} zł",
        f"£{high // 20}.{low:02d} each",
        f"{day}.{month}.20{low:02d}",
        f"{day:02d}/{month:02d}/{1900 + low}",
        f"{high % 24:02d}:{low % 60:02d} - {day % 24:02d}:00",
        f"0{high % 900 + 100} {low:02d} {day:02d} {month:02d}",
        f"No. {high}",
        f"{low}% off",
    )
    return str(forms[int(rng.integers(len(forms)))])
