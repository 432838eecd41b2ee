"""The texts of the goldens, all of our own: TRAINING for the vocabularies, TRICKY to be encoded, PAIRS."""

import random

TRAINING = [
    "How do I read a file line by line? A scanner reads tokens, by default lines, from a reader.",
    "A retort is a vessel in which a liquid is distilled, and the student learns to reproduce the teacher's scores.",
    "It's what they're saying: we've seen that I'm right, you'll agree, and he'd have gone, wouldn't he?",
    "IT'S NOT WHAT THEY'RE SAYING; WE'VE SEEN, I'M RIGHT, YOU'LL AGREE, HE'D GO.",
    "naïve café résumé: accents change the bytes, and the bytes change the pieces of a word.",
    "Der Prüfstand für große Maschinen steht in Köln, gleich neben der Straße zum Bahnhof.",
    "L'été dernier, nous avons déjà goûté à ces crêpes; c'était l'œuvre d'un maître.",
    "nDCG@10 rises from 0.411 to 0.480 in 4 minutes, 12,500 of 1,000,000 passages, on 2026-11-23 at 15:20.",
    "http.Server.Shutdown waits for open connections; Close() does not. if err != nil { return err }",
    "中文 分词 每个汉字 都是一个词 我们 今天 去 学校",
    "日本語のテキストと한국어 텍스트 カタカナ ひらがな",
    "Русский текст и ελληνικό κείμενο, а также عربي و עברית и हिन्दी में पाठ ไทย",
    "The quick brown fox jumps over the lazy dog, again and again, and the other one looks on.",
    "Vitamin D3 supplementation and bone density in older adults: a randomised, controlled trial of 2,000 IU daily.",
    "error: cannot use x (variable of type int) as string value in argument to f",
    "unbelievable, untokenizable, hyperparameterisation, retokenised, reading, reader, readers, read",
    "It costs $3.50 (about 3,20 €) — isn't that cheap? 🙂 🎉 👍",
    "func main() {\n\tfmt.Println(\"hello, world\")\n}\n\nfor i := 0; i < 10; i++ {\r\n\t\tsum += i\r\n}",
    "    four spaces, then   three, then\t\ttwo tabs\n\n\nand three newlines",
    "Question: what is the query? Answer: the passage is relevant to the query. Title: a claim, keywords.",
]

BASE = [
    "", " ", "  ", "   ", "\n", "\t", "\r\n", " \n", "\n ", "\n\n\n", " \n \n ", "a", " a", "a ", "  a  ", "   a   b   ",
    "Hello, world!", "hello world", " leading", "trailing ", "two  spaces", "three   spaces   here", "tab\there", "\t\ttabs",
    "line\nline", "line\r\nline\r\n", "line\n\n\nline", "a \n b", "a  \n  b", "\r\r\n", "x\u00a0y", "x\u2003 y", "x\u3000y",
    "x\u0085y", "x\u200by", "x\u2028y\u2029z", "\ufeffbom", "nul\x00byte", "\x01\x02 \x7f", "soft\u00adhyphen", "a\u2060b",
    "it's they're I'm we've you'll he'd can't", "IT'S THEY'RE I'M WE'VE YOU'LL HE'D", "'s 't 're", "''s '''", "a's's",
    "it’s they’re", "rock'n'roll", "'", "' s", "'ll'd've", "'ſ 'ſa", "'S'T'Re'vE'lL", "don't1", "x'sy", "'re'",
    "1", "12", "123", "1234", "12345", "123456789", "3.14159", "1,000,000", "2026-11-23", "v1.2.3", "0x1F", "a1b2c3",
    "١٢٣", "१२३४", "½ ¼ ²³", "Ⅷ Ⅻ", "①②③", "１２３", "三百", "1st 2nd", " 1 2  3", "1\u0301", "9's",
    "naïve café résumé", "nai\u0308ve cafe\u0301", "A\u030a\u0327", "ÅÅÅ", "ﬁne ﬂow", "ß ẞ SS", "İstanbul ıI", "Ǆ ǅ ǆ",
    "中文分词", "我们今天去学校。", "日本語のテキスト", "カタカナ ﾊﾝｶｸ ﾊﾟ", "한국어 텍스트", "각각", "ไทยไม่มีช่องว่าง",
    "Русский текст", "ελληνικό κείμενο ς", "עברית", "مرحبا بالعالم", "हिन्दी में", "ქართული", "አማርኛ", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "𠀀𠀁",
    "🙂", "🙂🙂", "👍🏽", "👩‍👩‍👧‍👦", "👨‍💻 codes", "🇩🇪🇫🇷", "❤️ ❤", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "a🙂b", " 🎉 ", "1️⃣2️⃣", "☃ ☃",
    "$3.50", "3,20 €", "!!!", "?!?!", "...", "…", "--", "—", "a-b-c", "#hash @at", "a_b_c", "snake_case camelCase", "C++ C#",
    "(a) [b] {c} <d>", "a/b\\c", "http://a.b/c?d=e&f=%20", "me@example.org", "<html>&amp;</html>", "`code`", "**bold**", "~|^=+<>",
    "if err != nil {\n\treturn err\n}", "for(;;){}\n", "x = [1,2,3]\r\n", "\"quoted\" 'single'", "a;b;c", "!\n\n!", "#\r\n#", "...\n",
    "<s>", "</s>", "<unk>", "<|im_start|>user\nhi<|im_end|>\n", "<|endoftext|>", "a<s>b", " <s> b", "<s><s></s>", "<mask>",
    "a <mask> b", "a<mask>b  <mask>  c", "<|im_start|><|im_end|>", "<|im_start", "<tool>x</tool>", "X<tool>", "<s", "[CLS] a [SEP]",
    "word", "sword word words", "word_ word", "New York", "new york NEW YORK", "▁", "▁a ▁▁b", "a▁b", "Ġ", "<0x0A>", "<0x41>", "Ċ",
    "aaaaaaaa", "abababab", "readreadread", "  " * 20, "\n" * 9, "a" * 80, "ab " * 15, "中" * 20, "é" * 15, "9" * 20, "\u0301" * 5,
    "Éclair éclair e\u0301clair", "\ufffd", "a\ufffdb", "\U0001F9FF", "\uE000", "\uFFFF", "\U0010FFFF", "ﷺ", "㍿", "℡", "Ａｂｃ", "ｱｲｳ", "①st",
]

FRAGMENTS = [
    " ", "  ", "\n", "\r\n", "\t", "\u3000", "\u00a0", "the", "The", "reader", "'s", "'LL", "'", "12", "7", "3.5", "½", "é", "e\u0301", "ü",
    "中", "日本", "한", "да", "🙂", "👩‍👧", "!", "...", "—", "(", ")", "{", "}", ";", "<s>", "<mask>", "word", "x", "_", "▁", "-", "İ", "ﬁ", "€",
]


def tricky():
    """The texts above, and mixtures that nobody would think of."""
    draw = random.Random(5)
    mixed = ["".join(draw.choice(FRAGMENTS) for _ in range(draw.randint(2, 14))) for _ in range(160)]
    return list(dict.fromkeys(BASE + TRAINING + mixed))


TRICKY = tricky()


def pairs():
    """Two texts, and how many tokens there may be (0: no limit)."""
    draw = random.Random(6)
    out = [["", "", 0], ["a", "", 0], ["", "b", 8], ["a query", "a passage", 0]]
    for limit in [0, 5, 6, 7, 8, 9, 12, 13, 16, 17, 24, 31, 32]:
        for _ in range(5):
            out.append([draw.choice(BASE + TRAINING), draw.choice(TRAINING), limit])
            out.append([draw.choice(TRAINING), draw.choice(BASE), limit])
    return out


PAIRS = pairs()
