"""Why b'世界' is a syntax error, and what to write instead. No network needed."""

try:
    compile("b'世界'", "example", "eval")
except SyntaxError as error:
    print("b'世界':", error.msg)

data = "世界".encode("utf-8")
print(len("世界"), "characters,", len(data), "bytes:", data)
print("the same bytes, read as GBK:", data.decode("gbk"))
print("the same characters, written as GBK:", "世界".encode("gbk"))
