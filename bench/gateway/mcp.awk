# SPDX-License-Identifier: Apache-2.0
# mcp.awk - medians of each case and proxy, then what is aimed at beside what was measured.
function field(name, at, value) {
	at = index($0, "\"" name "\":")
	if (at == 0)
		return ""
	value = substr($0, at + length(name) + 3)
	sub(/[,}].*/, "", value)
	gsub(/"/, "", value)
	return value == "null" ? "" : value
}

function shown(format, value) { return value < 0 ? "" : sprintf(format, value) }

BEGIN { names = split("rate p50_us p99_us cpu_us asked streams resident_kib before_kib quiet_percent comments_percent", name, " ") }

{
	for (i = 1; i <= names; i++) {
		value = field(name[i])
		key = field("case") " " field("proxy") " " name[i]
		if (value != "")
			values[key] = values[key] " " value
	}
}

# ---- tables

function row(which, proxy, key, cpu, direct) {
	key = which " " proxy
	if (median(key " rate") < 0)
		return
	cpu = median(key " cpu_us")
	direct = median(which " direct p50_us")
	printf("%-10s %-15s %9.0f %9.1f %9s %9.1f %12s %12s %14s\n", which, proxy, median(key " rate"), median(key " p50_us"),
		proxy != "direct" && direct >= 0 ? sprintf("%.1f", median(key " p50_us") - direct) : "",
		median(key " p99_us"), shown("%.2f", cpu), cpu > 0 ? sprintf("%.0f", 1e6 / cpu) : "",
		shown("%.2f", median(key " asked")))
}

function idle_row(which, proxy, key) {
	key = which " " proxy
	if (median(key " streams") < 0)
		return
	printf "%-10s %-15s %9.0f %13.1f %14.0f %12s %14s\n", which, proxy, median(key " streams"),
		median(key " resident_kib") / 1024,
		(median(key " resident_kib") - median(key " before_kib")) * 1024 / median(key " streams"),
		shown("%.3f %%", median(key " quiet_percent")), shown("%.3f %%", median(key " comments_percent"))
}

# ---- aims

function aim(what, proxy, value, format, sign, limit) {
	if (value == "")
		return
	printf("%-58s %-14s %10s   %-8s %8s   %s\n", what, proxy, sprintf(format, value), sign == "<" ? "at most" : "at least",
		sprintf(format, limit), (sign == "<" ? value <= limit : value >= limit) ? "held" : "missed")
}

# "" = one of them was not measured.
function ratio(a, b) { return a > 0 && b > 0 ? a / b : "" }
function less(a, b) { return a >= 0 && b >= 0 ? a - b : "" }
function there(a) { return a >= 0 ? a : "" }

function over_relay(proxy, direct, relay, kolk) {
	direct = median("call/1 direct p50_us")
	relay = median("call/1 relay-" substr(proxy, 6) " p50_us")
	kolk = median("call/1 " proxy " p50_us")
	return direct >= 0 && relay > direct && kolk >= 0 ? (kolk - direct) / (relay - direct) : ""
}

function aims(proxy, c, which) {
	aim("call/1: p50 added, to what the relay adds", proxy, over_relay(proxy), "%.2f", "<", 1.3)
	aim("paced/64: p50 added, us", proxy, less(median("paced/64 " proxy " p50_us"), median("paced/64 direct p50_us")), "%.1f",
		"<", 60)
	aim("call/64: calls per CPU-second, to nginx", proxy, ratio(median("call/64 nginx cpu_us"), median("call/64 " proxy " cpu_us")),
		"%.2f", ">", 0.9)
	aim("stdio/16: calls per CPU-second, to supergateway", proxy,
		ratio(median("stdio/16 supergateway cpu_us"), median("stdio/16 " proxy " cpu_us")), "%.1f", ">", 50)
	aim("stdio/16: calls per CPU-second, to mcp-proxy", proxy,
		ratio(median("stdio/16 mcp-proxy cpu_us"), median("stdio/16 " proxy " cpu_us")), "%.1f", ">", 50)
	aim("session/1: the server's requests per session", proxy, there(median("session/1 " proxy " asked")), "%.2f", "<", 1.05)
	aim("modern/1: the server's requests per call", proxy, there(median("modern/1 " proxy " asked")), "%.2f", "<", 1.05)
	aim("modern/1: p50, to call/1", proxy, ratio(median("modern/1 " proxy " p50_us"), median("call/1 " proxy " p50_us")), "%.2f",
		"<", 1.2)
	aim("modern/64: CPU per call, to call/64", proxy, ratio(median("modern/64 " proxy " cpu_us"), median("call/64 " proxy " cpu_us")),
		"%.2f", "<", 1.2)
	aim("stdio/1: p50 added, us", proxy, less(median("stdio/1 " proxy " p50_us"), median("stdio/1 direct p50_us")), "%.1f", "<", 60)
	for (c = 1; c <= cases_count; c++) {
		which = case_list[c]
		if (which !~ /^idle/)
			continue
		aim(which ": MiB resident", proxy, median(which " " proxy " streams") < 0 ? "" : median(which " " proxy " resident_kib") / 1024,
			"%.1f", "<", 60)
		aim(which ": of a core, without comments, %", proxy, there(median(which " " proxy " quiet_percent")), "%.3f", "<", 0.1)
		aim(which ": of a core, with comments, %", proxy, there(median(which " " proxy " comments_percent")), "%.3f", "<", 1)
	}
}

END {
	cases_count = split(cases, case_list, " ")
	proxies_count = split(proxies, proxy_list, " ")
	if (cases ~ /(^| )[^i ]/)
		printf "%-10s %-15s %9s %9s %9s %9s %12s %12s %14s\n", "case", "proxy", "calls/s", "p50 us", "added us", "p99 us",
			"CPU us/call", "calls/CPU-s", "requests/call"
	for (c = 1; c <= cases_count; c++)
		for (p = 1; p <= proxies_count; p++)
			row(case_list[c], proxy_list[p])
	if (cases ~ /idle/)
		printf "\n%-10s %-15s %9s %13s %14s %12s %14s\n", "case", "proxy", "streams", "MiB resident", "bytes/stream", "of a core",
			"with comments"
	for (c = 1; c <= cases_count; c++)
		for (p = 1; p <= proxies_count; p++)
			idle_row(case_list[c], proxy_list[p])
	printf "\n%-58s %-14s %10s   %s\n", "aim", "proxy", "measured", "wanted"
	for (p = 1; p <= proxies_count; p++)
		if (proxy_list[p] ~ /^kolk/)
			aims(proxy_list[p])
}
