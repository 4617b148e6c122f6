# SPDX-License-Identifier: Apache-2.0
# table.awk - medians of each case and proxy, and what CPU each is to the better of nginx and HAProxy.
function field(name, at) {
	at = index($0, "\"" name "\":")
	if (at == 0)
		return ""
	value = substr($0, at + length(name) + 3)
	sub(/[,}].*/, "", value)
	gsub(/"/, "", value)
	return value
}

{
	key = field("case") " " field("proxy")
	values[key " cpu"] = values[key " cpu"] " " field("cpu_us")
	values[key " rate"] = values[key " rate"] " " field("rate")
	if (field("p99_us") != "null" && field("p99_us") > 0)
		values[key " p99"] = values[key " p99"] " " field("p99_us")
	if (field("handshakes") != "") {
		values[key " shaken"] = values[key " shaken"] " " field("handshakes")
		if (field("p99_alone_us") > 0)
			values[key " alone"] = values[key " alone"] " " field("p99_alone_us")
		values[key " ratio"] = values[key " ratio"] " " ratio(field("p99_us"), field("p99_alone_us"))
	}
	if (field("idle_bytes") > 0)
		values[key " bytes"] = values[key " bytes"] " " field("idle_bytes")
}

END {
	if (cases ~ /(^| )[^h ]/)
		printf "%-12s %-15s %10s %12s %10s %14s %14s %12s\n", "case", "proxy", "req/s", "CPU µs/req", "p99 µs",
		"of the relay", "to the better", "bytes/idle"
	cases_count = split(cases, case_list, " ")
	proxies_count = split(proxies, proxy_list, " ")
	for (c = 1; c <= cases_count; c++)
		for (p = 1; p <= proxies_count; p++)
			if (case_list[c] !~ /^handshakes/)
				row(case_list[c], proxy_list[p])
	for (c = 1; c <= cases_count; c++)
		if (case_list[c] ~ /^handshakes/)
			handshakes(case_list[c])
}

function handshakes(which, p, key) {
	printf "\n%-14s %-15s %12s %10s %12s %12s %8s\n", "case", "proxy", "handshakes/s", "req/s", "p99 alone µs",
		"beside µs", "ratio"
	for (p = 1; p <= proxies_count; p++) {
		key = which " " proxy_list[p]
		if (median(key " shaken") >= 0)
			printf "%-14s %-15s %12.0f %10.0f %12s %12s %8s\n", which, proxy_list[p], median(key " shaken"),
				median(key " rate"), shown(key " alone", "%.0f"), shown(key " p99", "%.0f"), shown(key " ratio", "%.2f")
	}
}

# Not measured in any round: an overloaded h2load does not end, and its log is empty.
function shown(key, format, value) {
	value = median(key)
	return value > 0 ? sprintf(format, value) : "-"
}

function ratio(a, b) { return a > 0 && b > 0 ? sprintf("%.2f", a / b) : "" }

# The relay on the same back end; the better of nginx and HAProxy in requests per CPU-second.
function row(which, proxy, key, cpu, relay, best, other, p99, bytes) {
	key = which " " proxy
	cpu = median(key " cpu")
	if (cpu < 0)
		return
	relay = median(which " relay-" substr(proxy, index(proxy, "-") + 1) " cpu")
	best = median(which " nginx cpu")
	other = median(which " haproxy cpu")
	if (best < 0 || (other > 0 && other < best))
		best = other
	p99 = median(key " p99")
	bytes = median(key " bytes")
	printf "%-12s %-15s %10.0f %12.2f %10s %14s %14s %12s\n", which, proxy, median(key " rate"), cpu,
		p99 < 0 ? "" : sprintf("%.0f", p99), proxy ~ /^kolk/ ? ratio(cpu, relay) : "",
		proxy ~ /^kolk/ ? ratio(best, cpu) : "", bytes < 0 ? "" : sprintf("%d", bytes)
}
