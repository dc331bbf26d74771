"""Texts for the tokenizer's golden set: all languages of Qwen3-ASR, and everything that trips tokenizers.

Only characters assigned in Unicode 14 occur, so that the versions of Unicode inside ICU, Hugging Face tokenizers and
Python agree about all of them. Everything here was written for this purpose.
"""

import random
import unicodedata

# Four plain sentences per language: talk, figures, a question, a name with an abbreviation.
SENTENCES = {
    "Chinese": ["今天下午三点我们在会议室讨论新的预算。", "这本书一共有256页，售价38.5元。", "你能告诉我最近的地铁站在哪里吗？", "王医生说AI可以帮助医院（尤其是小医院）。"],
    "English": ["We'll meet the architects at a quarter past nine tomorrow.", "The ferry costs $12.50 and takes 45 minutes.", "Didn't you say they'd already left?", "Dr. O'Neill works for the U.N. in New York."],
    "Cantonese": ["聽日我哋喺茶餐廳食早餐啦。", "呢部電話要3,980蚊，真係好貴。", "你知唔知佢幾點鐘返嚟呀？", "陳生話佢嘅BB啱啱識行路。"],
    "Arabic": ["سنلتقي غدًا أمام المكتبة بعد صلاة العصر.", "يبلغ ثمن التذكرة ٢٥ ريالًا والمسافة 120 كيلومترًا.", "هل يمكنك أن تُعيد الجملة الأخيرة؟", "قالت الدكتورة ليلى إنّ «الماء» ضروريّ."],
    "German": ["Morgen früh fahren wir mit dem Zug über die Brücke nach Süden.", "Das Gerät kostet 1.249,90 € und wiegt 3,5 kg.", "Weißt du, ob der Bäcker heute geöffnet hat?", "Frau Dr. Müller-Groß prüft z. B. die Straßenpläne."],
    "French": ["L'été dernier, nous avons traversé les Alpes à vélo.", "Le billet coûte 17,80 € ; il est valable 90 jours.", "Qu'est-ce que tu as mangé aujourd'hui ?", "« Voilà », dit Mme Lefèvre, « le cœur de l'œuvre. »"],
    "Spanish": ["Mañana por la mañana iremos al mercado del pueblo.", "El año pasado llovieron 340 litros en sólo 3 días.", "¿Cuándo llega el próximo autobús a Málaga?", "¡Qué sorpresa!, exclamó el Sr. Núñez."],
    "Portuguese": ["Amanhã não haverá aula porque é feriado nacional.", "A viagem de São João até à praia demora 2h30.", "Você já experimentou o pão de queijo da avó?", "A Dra. Conceição comprou três maçãs e um limão."],
    "Indonesian": ["Besok pagi kami berangkat ke pasar naik sepeda.", "Harga tiketnya Rp75.000 untuk anak-anak.", "Apakah kamu sudah makan siang tadi?", "Bapak Suryadi tinggal di Jl. Merdeka No. 17."],
    "Italian": ["Domani andremo all'università perché c'è un convegno.", "Il treno delle 18:42 arriva con 7 minuti di ritardo.", "Com'è andata la gita sull'isola?", "L'ing. D'Angelo ha detto: «Così non può più andare»."],
    "Korean": ["내일 아침에 도서관 앞에서 만나기로 했어요.", "이 가방은 49,000원이고 무게는 2.3kg입니다.", "혹시 버스 정류장이 어디인지 아세요?", "김 박사는 “괜찮습니다”라고 대답했다."],
    "Russian": ["Завтра утром мы поедем на дачу собирать яблоки.", "Расстояние составляет 1 350 км, а билет стоит 2 799 ₽.", "Почему ты ещё не позвонил бабушке?", "Д-р Щёголев сказал: «Съешьте ещё этих булок»."],
    "Thai": ["พรุ่งนี้เช้าเราจะไปตลาดน้ำด้วยกัน", "ค่าโดยสาร ๔๕ บาท ใช้เวลา 30 นาที", "คุณรู้ไหมว่าร้านหนังสือเปิดกี่โมง", "หมอสมชายบอกว่าน้ำสะอาดสำคัญมาก"],
    "Vietnamese": ["Sáng mai chúng tôi sẽ đi chợ nổi bằng thuyền.", "Vé tàu giá 350.000 đồng, chạy mất 6 tiếng.", "Bạn có biết quán phở nào ngon gần đây không?", "Bác sĩ Nguyễn Thị Hương nói: “Uống nhiều nước vào nhé!”"],
    "Japanese": ["明日の朝、駅前の喫茶店で待ち合わせましょう。", "この部屋は２５㎡で、家賃は８万５千円です。", "ｶﾀｶﾅとひらがな、どちらが好きですか？", "「大丈夫だよ」と鈴木さんは言った・・・。"],
    "Turkish": ["Yarın sabah İzmir'e giden ilk otobüse bineceğiz.", "Kitabın fiyatı 149,90 ₺, kargo 3 gün sürüyor.", "Işığı kapatmayı unuttun mu?", "Öğretmen Şule Hanım “Çok güzel olmuş” dedi."],
    "Hindi": ["कल सुबह हम लोग नदी के किनारे घूमने जाएँगे।", "इस किताब की क़ीमत ₹२९९ है और यह 180 पन्नों की है।", "क्या आपने दोपहर का खाना खा लिया?", "डॉ. शर्मा ने कहा, “पानी ज़्यादा पिया कीजिए।”"],
    "Malay": ["Esok pagi kami akan bertolak ke kampung nenek.", "Tambangnya RM3.20 dan jaraknya 14 km sahaja.", "Bolehkah awak ulang ayat yang terakhir tadi?", "Encik Rahman bekerja di Kuala Lumpur sejak 1998."],
    "Dutch": ["Morgenochtend fietsen we langs de zee naar 's-Gravenhage.", "Het kaartje kost € 8,75 en is 24 uur geldig.", "Heb jij die geïllustreerde reünie-foto's gezien?", "Mevr. IJsbrandt zei: ‘Dat is één heel goed idee.’"],
    "Swedish": ["I morgon åker vi till sjön för att fånga kräftor.", "Resan tar 3,5 timmar och kostar 429 kr.", "Har du hört vad som hände på ön igår?", "Åsa Öberg bor på Ängsvägen 12 B."],
    "Danish": ["I morgen tidlig går vi en tur på stranden i blæsevejr.", "Brødet koster 32,50 kr. hos bageren på hjørnet.", "Hvad hedder den lille ø, vi så i går?", "Søren Kjær sagde: »Rødgrød med fløde, tak.«"],
    "Finnish": ["Huomenna lähdemme mökille saunomaan ja kalastamaan.", "Lippu maksaa 6,40 € ja matka kestää 25 minuuttia.", "Tiedätkö, missä lähin kirjasto sijaitsee?", "Äiti sanoi: ”Hyvää yötä ja kauniita unia, Väinö.”"],
    "Polish": ["Jutro rano pojedziemy nad jezioro łowić ryby.", "Chleb kosztuje 4,79 zł, a masło aż 8,20 zł.", "Czy mógłbyś powtórzyć ostatnie zdanie?", "Pani Żółkiewska rzekła: „Gżegżółka to też ptak”."],
    "Czech": ["Zítra ráno pojedeme vlakem na chalupu k babičce.", "Lístek stojí 36 Kč a platí 90 minut.", "Řekneš mi, kde je nejbližší lékárna?", "MUDr. Dvořák řekl: „Příliš žluťoučký kůň pěl ódy.“"],
    "Filipino": ["Bukas ng umaga ay pupunta kami sa palengke ng Batangas.", "Ang pamasahe ay ₱13.00 at aabutin ng 20 minuto.", "Kumain ka na ba ng tanghalian?", "Sinabi ni Gng. Dela Peña na mag-iingat kayo."],
    "Persian": ["فردا صبح با هم به کتاب‌خانه می‌رویم.", "قیمت بلیت ۱۸٬۵۰۰ تومان و مسیر ۷۲ کیلومتر است.", "می‌توانی جملهٔ آخر را تکرار کنی؟", "دکتر پژمان گفت: «آب زیاد بنوشید.»"],
    "Greek": ["Αύριο το πρωί θα πάμε με το πλοίο στην Αίγινα.", "Το εισιτήριο κοστίζει 9,50 € και ισχύει 2 μέρες.", "Μήπως ξέρεις πού είναι το φαρμακείο;", "Ο κ. Παπαδόπουλος είπε: «Όλα θα πάνε καλά»."],
    "Romanian": ["Mâine dimineață mergem la piață să cumpărăm brânză.", "Biletul costă 23,50 lei și drumul durează 4 ore.", "Știi cumva unde este cea mai apropiată farmacie?", "Domnul Țăndărică a zis: „Așa ceva n-am mai văzut”."],
    "Hungarian": ["Holnap reggel kirándulni megyünk a Balaton-felvidékre.", "A jegy ára 1 450 Ft, az út 55 percig tart.", "Meg tudnád ismételni az utolsó mondatot?", "Dr. Kőműves Űrsula szerint: „Árvíztűrő tükörfúrógép.”"],
    "Macedonian": ["Утре наутро одиме на пазар да купиме пиперки.", "Билетот чини 120 денари и важи 3 часа.", "Дали знаеш каде е најблиската аптека?", "Ѓорѓи Ќосев рече: „Ѕвездите се прекрасни“."],
}

CONTRACTIONS = ["it's", "IT'S", "we're", "We'Re", "they've", "I'm", "I'M", "you'll", "YOU'LL", "he'd", "can't", "'tis", "'Twas",
                "rock 'n' roll", "y'all'd've", "o'clock", "James'", "'s", "''s", "'", "''", "don\u2019t", "DON\u2019T", "l'\u00e9t\u00e9",
                "a'\u017fb", "'\u017f", "x'll'll", "'re're", "'RE", "'Ve", "'lL", "'Ll ", " 's", "1's", "'s1", "!'s", "'l", "'r", "'v", "'ld"]
DIGITS = ["0", "7", "42", "2024", "1234567890", "3.14159", "1,000,000", "12:34:56", "2024-02-29", "+49 (0)30 1234-5678",
          "192.168.0.1", "0x1F", "1e-6", "½ ¾ ⅓", "²³⁴", "₁₂₃", "Ⅳ Ⅻ ↁ", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "๐๑๒๓๔", "１２３４５", "①②③ ⑩ ㊿", "〇一二三十百千万",
          "𝟎𝟏𝟐 𝟘𝟙 𝟬𝟭", "৪২", "༠༡༢", "១២៣", "1st 2nd 3rd", "a1b2c3", "1 2  3   4", "100%", "$5.99", "5€", "№5", "1\n2\n\n3", "０", "9" * 40]
CODE = ["for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }", "#include <vector>\n#define X(a, b) ((a) + (b))\n", "def f(x):\n    return x ** 2\n",
        "if __name__ == \"__main__\":\n\tmain()\n", "SELECT * FROM t WHERE id IN (1, 2, 3);", "<div class=\"a b\">&nbsp;</div>", "{\"k\": [1, 2.5, null, true]}",
        "https://example.org/a/b?c=d&e=%20#frag", "user.name+tag@example.com", "C:\\Users\\me\\file.txt", "/usr/local/bin:$PATH", "snake_case camelCase kebab-case",
        "x = y ? z : w;", "// comment /* nested */", "### heading\n\n- item\n- item 2\n", "## ##x #y # z ####", "a[0][1]->b.c()", "!=== !== => <=> ?? ::", "\\n \\t \\u00e9",
        "100_000 0b1010 0o17", "E = mc^2", "\\frac{a}{b}", "|---|---|\n| a | b |\n", "std::span<const float>", "~~~~ ```` ----", "@app.route('/')", "% ls -la | grep x", "\t\tif x:\r\n\t\t\ty()\r\n"]
EMOJI = ["😀", "😀😃😄", "👍🏽", "👩‍💻", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🏴‍☠️", "🇩🇪🇫🇷🇯🇵", "1️⃣2️⃣", "❤️", "❤", "☺️ ☺", "🤷🏿‍♀️", "🧑🏻‍🤝‍🧑🏾", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🎉🎊 party", "ok👌ok", "👋 hello 👋",
         "🫠🫡🫣", "🥹", "a😀b", "😀\n😀", "‍😀‍", "©®™", "→⇒↔", "♠♥♦♣", "🀄🂡", "𓀀𓁐", "☕️☕"]
COMBINING = ["e\u0301", "e\u0301\u0301", "a\u0323\u0302", "a\u0302\u0323", "\u0301", " \u0301", "\u0301a", "n\u0303o", "A\u030a", "\u212b", "\u2126", "\u212a", "\u1e9b\u0323", "q\u0307\u0323",
             "\u1100\u1161", "\u1100\u1161\u11a8", "\uac00\u11a8", "\uac01\u11a8", "\u1112\u1161\u11ab\u1100\u1173\u11af", "\u0915\u093c", "\u0958", "\u09c7\u09be", "\u0b47\u0b3e", "\u1025\u102e",
             "\ufb01", "\ufb1d\ufb2a", "\u05e9\u05c1\u05b8", "\u0644\u0627", "\ufefb", "\u0622", "\u0627\u0653", "\u2adc", "\u0344", "\u0340\u0341", "\u1fee", "\u1ffd", "\u2000\u2001",
             "\uf900", "\ufa0e", "\U0002f800", "\U0001d15e", "\U000110a5", "\U00011099\U000110ba", "\u0f43", "\u0f77", "Z" + "\u0300\u0301\u0302\u0323\u0324" * 5, "x\u20dd", "\u3046\u3099", "\u30ab\u3099", "が", "か\u3099",
             "c\u0327\u0301", "o\u0328\u0304", "\u01ed", "D\u0323\u0307", "\u1e0d\u0307", "s\u0323\u0307", "i\u0307", "\u0130", "\u0131", "\u00c5ngstr\u00f6m \u212bngstr\u00f6m"]
SPACES = ["\t", "\n", "\v", "\f", "\r", "\x1c", "\x1d", "\x1e", "\x1f", " ", "\x85", "\xa0", "\u1680", "\u180e", "\u2000", "\u2002", "\u2003", "\u2007", "\u2009", "\u200a", "\u200b",
          "\u200c", "\u200d", "\u2028", "\u2029", "\u202f", "\u205f", "\u2060", "\u3000", "\ufeff"]
INVALID_UTF8 = ["80", "bf80", "c0af", "c1bf", "c3", "c328", "c3c3a9", "e080af", "e0a0", "e0a061", "e2", "e282", "e28261", "e282e282ac", "eda080", "edbfbf", "eda0bdedb880", "efbfbf", "efbbbf61",
                "f0", "f09f", "f09f98", "f09f9861", "f09f98f09f9880", "f0808080", "f08fbfbf", "f48fbfbf", "f4908080", "f5808080", "f8888080", "fc", "fe", "ff", "fffe", "feff", "6180626180",
                "61f1808061e18061c262", "00ff00", "c2a0c2", "20e38020", "0dff0a", "27ff73", "e4bda0e5a5", "e4bd", "a0e5a5bd", "d8ad20d8", "3c7c696d5f656e647cff3e", "ff3c7c696d5f656e647c3e", "ce", "cc81", "65cc", "65cc8165cc"]


def white_space_cases():
    for space in SPACES:
        for text in (space, space * 2, f"a{space}b", f"a{space}{space}b", f"{space}a", f"a{space}", f"a {space}b", f"a{space} b", f"1{space}2", f"!{space}?",
                     f"a{space}\nb", f"a\n{space}b", f"{space}'s"):
            yield text
    for run in ("   trailing   spaces   ", "a  b", "a   b", "a    b", "\n\n\n", "\r\n\r\n", " \n", "\n ", "a \n b", "a\r\n\r\nb", "  \n\n a\tb\r\nc", "\n\r\n\r", "x\r\ry",
                "hi!\n", "hi!\n\n \n", "?!\r\n\r\nx", ". . .", "...\n...\n", " " * 63, " " * 200 + "x", "\n" * 80, "\t" * 33 + "x", " \t \t x", "end \t\n\t ", "a \u3000 b", " \u00a0 x"):
        yield run


def control_cases():
    for code in [*range(0x20), 0x7f, *range(0x80, 0xa0), 0xad]:
        character = chr(code)
        yield character
        yield f"x{character}y"
        yield f"a {character}{character} 1"
    yield "\x1b[31mred\x1b[0m"
    yield "\u202eabc\u202c \u2066x\u2069 \u200f\u200e"
    yield "\ufff9a\ufffab\ufffb \ufffc \ufffd"
    yield "\ufdd0\uffff\U0001fffe\U0010ffff\ue000\U000f0000"  # noncharacters and private use


def added_token_cases(added_tokens):
    for content in added_tokens:
        yield content
        yield f"a{content}b"
        yield f" {content} {content}\n"
    some = [added_tokens[0], added_tokens[len(added_tokens) // 2], added_tokens[-1]]
    for content in some:
        yield from (content[1:], content[:-1], content.upper(), content + content, f"<{content}>", f"e{content}\u0301", f"{content}'s", f"it{content}'s", f"\n{content}\n\n",
                    content[:3] + "\u200b" + content[3:], f"hello {content}  {content}\u3000{content}x")


def language_cases(randomness):
    for language, sentences in SENTENCES.items():
        for sentence in sentences:
            yield sentence
            yield unicodedata.normalize("NFD", sentence)
            yield sentence.upper()
            yield f"language {language}<asr_text>{sentence}"
        yield " ".join(sentences)
        yield "\n".join(sentences) + "\n"
        words = " ".join(sentences).split()
        yield "  ".join(randomness.sample(words, min(len(words), 8)))
        yield from (f"language {language}", language.lower(), f"system\n{sentences[0]}")


def assigned_characters():
    """Characters of Unicode 14, without surrogates."""
    return [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Cs")]


def character_cases(randomness, n_strings=120):
    """Characters from the whole of Unicode, alone among their neighbours and mixed with Latin words."""
    characters = [c for c in assigned_characters() if unicodedata.category(c) != "Co"]
    for _ in range(n_strings):
        start = randomness.randrange(len(characters) - 12)
        yield "".join(characters[start:start + 12])
        yield " ".join(randomness.choice(["word", "x", ""]) + c for c in randomness.sample(characters, 8))


def fuzz_cases(randomness, added_tokens, n_strings=700):
    """Mixtures of everything above; every tenth as bytes with damage."""
    pools = [list("aeiouAEIOUstrvmld'' "), CONTRACTIONS, DIGITS[:12], [s for s in SPACES], EMOJI, COMBINING, list(".,;:!?()[]{}<>|/\\\"'`~@#$%^&*-_=+"),
             [word for sentences in SENTENCES.values() for sentence in sentences for word in sentence.split()], list(added_tokens)]
    for number in range(n_strings):
        chosen = randomness.sample(pools, randomness.randint(1, 4))
        text = "".join(randomness.choice(randomness.choice(chosen)) for _ in range(randomness.randint(1, 14)))
        if number % 10:
            yield text
            continue
        damaged = bytearray(text.encode("utf-8"))
        for _ in range(randomness.randint(1, 4)):
            damaged[randomness.randrange(len(damaged))] = randomness.randrange(256)
        yield bytes(damaged)


def long_cases(randomness):
    words = [word for sentences in SENTENCES.values() for sentence in sentences for word in sentence.split()]
    yield " ".join(randomness.choices(words, k=400))
    yield " ".join(SENTENCES["English"]) * 12
    yield "".join(SENTENCES["Chinese"]) * 10
    yield "a" * 1000
    yield "ab" * 500
    yield "abcdefghijklmnopqrstuvwxyz" * 20
    yield "哈" * 300
    yield "-" * 500 + "\n" * 20
    yield "नमस्ते" * 60


def texts(added_tokens, seed=20240229):
    """All texts (str, or bytes where the UTF-8 is damaged), each once, in a fixed order."""
    randomness = random.Random(seed)
    seen = set()
    sources = [[""], language_cases(randomness), CONTRACTIONS, DIGITS, CODE, EMOJI, COMBINING, white_space_cases(), control_cases(),
               added_token_cases(added_tokens), (bytes.fromhex(text) for text in INVALID_UTF8), character_cases(randomness),
               fuzz_cases(randomness, added_tokens), long_cases(randomness)]
    for source in sources:
        for text in source:
            if text not in seen:
                seen.add(text)
                yield text
