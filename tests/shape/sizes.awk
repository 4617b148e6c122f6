# Functions, files and parameters above their sizes (tests/shape/run).
#   awk -f sizes.awk CALLBACKS FILE ...
# CALLBACKS names functions whose parameters a public header or a library decides, one a line: FILE, NAME, and
# what decides. One that is not there any more, or has few parameters, is told, too.

BEGIN { LINES = 50; PARAMETERS = 4; SOURCE = 500; HEADER = 250 }

function file_ends() {
	if (length_of > (path ~ /\.h$/ ? HEADER : SOURCE))
		print path ": " length_of " lines"
}

# Commas between the outermost brackets of "name(... , ...)"; "..." is no parameter.
function parameters(text,    depth, i, one, count) {
	depth = 0
	count = 1
	for (i = index(text, "("); i <= length(text); i++) {
		one = substr(text, i, 1)
		depth += (one == "(") - (one == ")")
		count += one == "," && depth == 1
	}
	return count - (text ~ /, \.\.\.\)/)
}

function name_of(text,    name) {
	name = substr(text, 1, index(text, "(") - 1)
	sub(/.*[ *]/, "", name)
	return name
}

NR == FNR {
	if ($1 != "" && $1 !~ /^#/)
		decided[$1, $2]
	next
}
FNR == 1 {
	file_ends()
	path = FILENAME
	head = ""
}
{ length_of = FNR }
/^[A-Za-z_]/ { head = "" }
/^[A-Za-z_\t ]/ && !open { head = head " " $0 }
/^\{$/ && head ~ /\(/ && head !~ /=/ {
	open = FNR
	name = name_of(head)
	count = parameters(head)
	if (count > PARAMETERS && (path, name) in decided)
		used[path, name]
	else if (count > PARAMETERS && name !~ /^kolk_[a-z]/)
		print path ":" FNR ": " name ": " count " parameters"
}
/^\}/ {
	if (open && FNR - open - 1 > LINES)
		print path ":" open ": " name ": " FNR - open - 1 " lines"
	open = 0
	head = ""
}
END {
	file_ends()
	for (one in decided)
		if (!(one in used)) {
			sub(SUBSEP, ": ", one)
			print one ": has few parameters, or is gone (tests/shape/callbacks)"
		}
}
