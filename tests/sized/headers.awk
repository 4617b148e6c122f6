# The structs of public headers that begin with their size. mode=list names them, mode=newer gives
# each a field more, mode=older takes the last one away.
#
# What is no sized struct: kolk_address, whose size is that of a struct sockaddr. What has no older
# version, because its last field was always required: `whole`.

function no_comments(line,   at) {
	while (1) {
		if (inside) {
			at = index(line, "*/")
			if (!at)
				return kept ""
			line = substr(line, at + 2)
			inside = 0
		}
		at = index(line, "/*")
		if (!at)
			return line
		if (index(substr(line, at), "*/")) {
			line = substr(line, 1, at - 1) substr(line, at + index(substr(line, at), "*/") + 1)
		} else {
			inside = 1
			return substr(line, 1, at - 1)
		}
	}
}

# All fields but the last: what stands before the last but one semicolon.
function shorter(body,   count, part, i, text) {
	count = split(body, part, ";")
	for (i = 1; i < count - 1; i++)
		text = text part[i] ";"
	return text "\n"
}

BEGIN { whole["kolk_http_handler"] = whole["kolk_http_response"] = whole["kolk_mcp_handler"] = 1
	whole["kolk_mcp_result"] = whole["kolk_sys"] = 1 }

{ line = no_comments($0) }

/^struct kolk_[a-z_]+ \{/ && !inside {
	name = $2
	first = body = ""
	print_head = line
	next
}
name != "" && line ~ /^\};/ {
	sized = first ~ /^\tuint32_t size;/ && name != "kolk_address"
	if (mode == "list" && sized)
		print name
	else if (mode == "newer" && sized)
		body = body "\tuint64_t of_a_newer_header;\n"
	else if (mode == "older" && sized && !(name in whole))
		body = shorter(body)
	if (mode != "list")
		printf "%s\n%s};\n", print_head, body
	name = ""
	next
}
name != "" {
	if (first == "" && line ~ /[^ \t]/)
		first = line
	body = body line "\n"
	next
}
mode != "list" { print line }
