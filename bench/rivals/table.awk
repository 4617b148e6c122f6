# The tables of a session, from its JSON lines. In: columns and rows ('|' between them), rounds.
# Plain awk: mawk, gawk and busybox all do.

BEGIN {
	column_count = split(columns, column, "|")
	row_count = split(rows, row, "|")
	metric_count = split("cycle_ns p50 p99 p999", metric, " ")
	wide = "  %14s"
}

# The number behind "name": in the line, or "" where there is none.
function number(name, text) {
	if (!match($0, "\"" name "\" *: *[0-9.]+"))
		return ""
	text = substr($0, RSTART, RLENGTH)
	sub(/^"[^"]*" *: */, "", text)
	return text
}

function word(name, text) {
	if (!match($0, "\"" name "\" *: *\"[^\"]*\""))
		return ""
	text = substr($0, RSTART, RLENGTH)
	sub(/^"[^"]*" *: *"/, "", text)
	sub(/"$/, "", text)
	return text
}

{
	where = number("threads") " " number("connections") " " number("hold_us")
	who = word("column")
	version[who] = word("version")
	for (m = 1; m <= metric_count; m++) {
		if ((found = number(metric[m])) == "")
			continue
		slot = where SUBSEP who SUBSEP metric[m]
		sample[slot, ++samples[slot]] = found + 0
	}
}

# Insertion sort: there are only a few rounds.
function median(slot, n, i, j, swap) {
	n = samples[slot]
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && sample[slot, j - 1] > sample[slot, j]; j--) {
			swap = sample[slot, j]
			sample[slot, j] = sample[slot, j - 1]
			sample[slot, j - 1] = swap
		}
	if (n % 2)
		return sample[slot, (n + 1) / 2]
	return (sample[slot, n / 2] + sample[slot, n / 2 + 1]) / 2
}

# 61.2 below a hundred, then whole, in groups of three: 12 384.
function pretty(ns, text, grouped) {
	if (ns < 99.95)
		return sprintf((ns == int(ns) ? "%d" : "%.1f"), ns)
	text = sprintf("%.0f", ns)
	while (length(text) > 3) {
		grouped = " " substr(text, length(text) - 2) grouped
		text = substr(text, 1, length(text) - 3)
	}
	return text grouped
}

function is_kolk(name) {
	return name == "kolk" || name == "kolk strict"
}

# Fills value[] for one line; best_all over all pools, best_rival without Kolk's own.
function gather(where, what, c, slot) {
	best_all = best_rival = kolk = -1
	for (c = 1; c <= column_count; c++) {
		slot = where SUBSEP column[c] SUBSEP what
		value[c] = samples[slot] ? median(slot) : -1
		if (value[c] < 0)
			continue
		if (best_all < 0 || value[c] < best_all)
			best_all = value[c]
		if (!is_kolk(column[c]) && (best_rival < 0 || value[c] < best_rival))
			best_rival = value[c]
		if (column[c] == "kolk")
			kolk = value[c]
	}
}

function print_values(where, what, c, text) {
	gather(where, what)
	for (c = 1; c <= column_count; c++) {
		text = value[c] < 0 ? "- " : pretty(value[c]) (value[c] == best_all ? "*" : " ")
		printf wide, text
	}
	if (column[1] == "kolk")
		printf "  %9s", (kolk < 0 || best_rival <= 0 ? "-" : sprintf("%.2f", kolk / best_rival))
	printf "\n"
}

function print_head(extra, c) {
	printf "%7s  %7s%s", "T/C", "hold us", extra
	for (c = 1; c <= column_count; c++)
		printf wide, column[c] " "
	if (column[1] == "kolk")
		printf "  %9s", "kolk/best"
	printf "\n"
}

function print_place(r, part) {
	split(row[r], part, " ")
	printf "%7s  %7s", part[1] "/" part[2], part[3]
}

function print_versions(c, text) {
	for (c = 1; c <= column_count; c++)
		if (version[column[c]] != "")
			text = text (text == "" ? "" : ", ") column[c] " " version[column[c]]
	print text
}

END {
	print_versions()
	printf "\nns per cycle (acquire + hold + release), wall time, all threads together; median of %d\n\n", rounds
	print_head("")
	for (r = 1; r <= row_count; r++) {
		print_place(r)
		print_values(row[r], "cycle_ns")
	}

	printf "\nns that an acquire takes; median of %d\n\n", rounds
	print_head("       ")
	for (r = 1; r <= row_count; r++)
		for (m = 2; m <= metric_count; m++) {
			print_place(r)
			printf "  %5s", (metric[m] == "p999" ? "p99.9" : metric[m])
			print_values(row[r], metric[m])
		}

	printf "\n* best of its row."
	if (column[1] == "kolk")
		printf " kolk/best: kolk divided by the best that is not Kolk; below 1, Kolk is the faster one."
	printf "\n"
	if (columns ~ /puddle/)
		print "puddle's callers are goroutines, those of the others OS threads: see README.md."
}
