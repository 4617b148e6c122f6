# Turn the page into C: cmake -DPAGE=page.html -DOUT=page.c -P embed.cmake
file(READ "${PAGE}" hex HEX)
string(REPEAT "[0-9a-f]" 32 line)
string(REGEX REPLACE "(${line})" "\\1\n\t" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
file(WRITE "${OUT}" "#include \"tools/ops/admin.h\"\n\nconst char kolk__page[] = {\n\t${bytes}0\n};\n"
	"const size_t kolk__page_size = sizeof kolk__page - 1;\n")
