# Says each line that holds a refused word: awk -f words.awk refused FILE ...
#
# The list: "REGEX<tab>INSTEAD", a word a line, in the folders of the last line "@ FOLDER ..."
# ("@" alone = everywhere). A third column names other folders; "*" = everywhere, "-" = as above.
# "-FOLDER" = but not in this one.
# A regex with a capital is matched as written, another without case. Letters and digits belong to
# a word, "_" does not: "night" is in night_watch. "! REGEX" is cut out of each line before: public
# names that stay.
BEGIN { FS = "\t" }
FNR == NR && /^! / { kept = kept (kept == "" ? "" : "|") substr($0, 3); next }
FNR == NR && /^@/ { scope = substr($0, 3); next }
FNR == NR && (/^#/ || NF == 0) { next }
FNR == NR {
	n++
	gsub(/\\w/, "[A-Za-z0-9_]", $1)
	plain = $1
	gsub(/\[A-Za-z0-9_\]/, "", plain)
	written[n] = plain ~ /[A-Z]/
	word[n] = $1
	instead[n] = $2
	where[n] = $3 == "*" ? "" : $3 == "" || $3 == "-" ? scope : $3
	if (written[n])
		as_written = as_written (as_written == "" ? "" : "|") $1
	else
		without_case = without_case (without_case == "" ? "" : "|") $1
	next
}
{
	line = $0
	if (kept != "")
		gsub(kept, " ", line)
	small = tolower(line)
	if (!holds(small, without_case) && !holds(line, as_written))
		next
	for (i = 1; i <= n; i++)
		if (holds(written[i] ? line : small, word[i]) && is_in(where[i]))
			print FILENAME ":" FNR ": " word[i] " (instead: " instead[i] "): " $0
}
function holds(text, words) {
	return words != "" && text ~ "(^|[^A-Za-z0-9])(" words ")([^A-Za-z0-9]|$)"
}
function is_under(folder) {
	return FILENAME == folder || index(FILENAME, folder "/") == 1
}
function is_in(folders,   list, count, k, named, inside) {
	count = split(folders, list, " ")
	for (k = 1; k <= count; k++) {
		if (list[k] ~ /^-/ && is_under(substr(list[k], 2)))
			return 0
		named += list[k] !~ /^-/
		inside += is_under(list[k])
	}
	return named == 0 || inside > 0
}
