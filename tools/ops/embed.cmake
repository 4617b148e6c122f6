# Turn the page into C: cmake -DPAGE=page.html -DOUT=page.c -P embed.cmake
file(READ "${PAGE}" hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE "${OUT}" "#include \"tools/ops/admin.h\"\n\nconst char kolk__page[] = {${bytes}0};\n"
	"const size_t kolk__page_size = sizeof kolk__page - 1;\n")
