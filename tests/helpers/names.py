"""Names that have broken file servers: those that must work, and those that must be refused."""

USABLE: tuple[str, ...] = (
    # what shells, option parsers, templates and databases take for something else
    "-rf", "--help", "-", "~", "~root", "$HOME", "$(touch x)", "`id`", ";reboot", "a|b", "a&b", "a>b", "*", "?", "[a]",
    "{a,b}", "!!", "#", "%s%n%x", "%00", "%2e%2e", "%2f", "{0.__class__}", "${jndi:ldap:x}", "' OR '1'='1", '"', "'",
    "<script>alert(1)<", "__init__", "__class__", "null", "undefined", "NaN", "true", "0", "-1", "1e400", "op",
    # what Windows or macOS take for something else
    "CON", "con.txt", "nul", "aux", "COM1", "lpt9.log", "a:b", "C:", "c:x", "dot.", "space ", " leading", "...", ".. .",
    ". ", ".hidden", "desktop.ini", ".DS_Store", "thumbs.db", "Ⅷ", "K", "ſ", "ß", "SS", "İ", "ı",
    # Unicode
    "café", "cafe\u0301", "Å", "\u212b", "ﬁ", "한글", "\u1112\u1161\u11ab", "世界", "مرحبا", "שלום", "สวัสดี", "नमस्ते",
    "Ω≈ç√",
    "👩‍👩‍👧‍👦", "🇨🇳", "\u202egpj.exe", "\u200b", "a\u200db", "\ufeff", "\u00a0", "\u2028", "\u3000", "\ufffd", "\uffff",
    "\ue000",
    "\U0010ffff", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘", "\u0301alone",
    # lengths
    "x" * 255, "é" * 127, "世" * 85, "🎉" * 63,
)  # fmt: skip

REFUSED: tuple[str, ...] = (
    "", "a/b", "/", "a\\b", "\\", "a\0b", "\0", "a\nb", "a\rb", "\t", "\x07", "\x1b[31m", "\x7f", "\x80", "\x85",
    "\x9f",
    "\ud800", "a\udc80", "x" * 256, "é" * 128, "世" * 86, "🎉" * 64, "\u0958" * 64,
)  # fmt: skip
