/* SPDX-License-Identifier: Apache-2.0 */
/* balancer_rows.c - the keys of an item of `balancers`: which field of which struct each is. */
#include "tools/gateway/config/file.h"

enum { REQUIRED = KOLK_OPTION_REQUIRED, FOREVER = KOLK_OPTION_FOREVER };

typedef const char *text;

#define DAY (24 * 3600 * KOLK_S_NS)
#define NAME 255
#define PATH 4095

/* clang-format off */

static const struct kolk_option_word resolves[] = {
	{ "none", GW_RESOLVE_NONE }, { "addresses", GW_RESOLVE_ADDRESSES }, { NULL, 0 }
};

#define KOLK_OPTION_STRUCT struct gw_member_options
static const struct kolk_option member_rows[] = {
	KOLK_OPTION_ROW(text, pool, TEXT, REQUIRED, 0, 1, 63, "pool", NULL, "name of a pool", NULL,
			"of protocol http")
	KOLK_OPTION_ROW(uint32_t, weight, COUNT, 0, 1, 1, 1000, "weight", NULL, NULL, NULL,
			"its share")
	KOLK_OPTION_ROW(uint32_t, resolve, WORD, 0, GW_RESOLVE_NONE, 0, 0, "resolve", resolves,
			"none, addresses", NULL,
			"addresses: each address of the pool's host is a member, with its weight, as long "
			"as DNS says so")
};
const struct kolk_option_table gw_member_rows = KOLK_OPTION_TABLE("members", member_rows);
#undef KOLK_OPTION_STRUCT

static const struct kolk_option_word policies[] = {
	{ "least_in_flight", GW_BALANCE_LEAST_IN_FLIGHT }, { "hash", GW_BALANCE_HASH }, { NULL, 0 }
};

#define KOLK_OPTION_STRUCT struct gw_balancer_options
static const struct kolk_option balancer_rows[] = {
	KOLK_OPTION_ROW(text, name, TEXT, REQUIRED, 0, 1, 63, "name", NULL, "1 to 63 bytes", NULL,
			"as routes call it")
	KOLK_OPTION_ROW(uint32_t, policy, WORD, 0, 0, 0, 0, "policy", policies, NULL, NULL,
			"least_in_flight: of two members that are drawn by weight, the one with fewer "
			"requests in flight for its weight. hash: requests that are alike go to one "
			"member")
	KOLK_OPTION_ROW(text, hash_by, TEXT, 0, 0, 1, NAME, "hash_by", NULL,
			"tenant, path, header NAME", "required with hash",
			"what makes requests alike; the path without the query. Those that have none go "
			"by least_in_flight")
	KOLK_OPTION_ROW(text, health_path, TEXT, REQUIRED, 0, 1, PATH, "health.path", NULL, "/path",
			NULL, "of a GET of the gateway's own, to each member")
	KOLK_OPTION_ROW(uint64_t, health_interval_ns, DURATION, 0, 5 * KOLK_S_NS, 100 * KOLK_MS_NS,
			DAY, "health.interval", NULL, NULL, NULL,
			"from the end of a check to the next, 10 % more or less")
	KOLK_OPTION_ROW(uint64_t, health_timeout_ns, DURATION, 0, 2 * KOLK_S_NS, KOLK_MS_NS,
			3600 * KOLK_S_NS, "health.timeout", NULL, NULL, NULL,
			"of a check, from the dial to the end of the answer")
	KOLK_OPTION_ROW(uint32_t, health_status, COUNT, 0, 0, 200, 599, "health.status", NULL, NULL,
			"200 to 299", "of a good answer")
	KOLK_OPTION_ROW(uint32_t, healthy_after, COUNT, 0, 2, 1, 100, "health.healthy_after", NULL,
			NULL, NULL, "good checks in a row: the member is up again")
	KOLK_OPTION_ROW(uint32_t, unhealthy_after, COUNT, 0, 3, 1, 100, "health.unhealthy_after",
			NULL, NULL, NULL, "bad checks in a row: it is down")
	KOLK_OPTION_ROW(uint64_t, dns_ttl_min_ns, DURATION, 0, GW_DNS_TTL_MIN_NS, KOLK_S_NS, DAY,
			"dns.ttl_min", NULL, NULL, NULL, "an answer is good for so long at least")
	KOLK_OPTION_ROW(uint64_t, dns_ttl_max_ns, DURATION, 0, GW_DNS_TTL_MAX_NS, KOLK_S_NS, DAY,
			"dns.ttl_max", NULL, NULL, NULL,
			"and at most; `ttl_min` or more. Also the longest pause after failures, which "
			"begins with 1 s and doubles")
	KOLK_OPTION_ROW(uint32_t, dns_members_max, COUNT, 0, GW_DNS_MEMBERS, 1, GW_BALANCED_MAX,
			"dns.members_max", NULL, NULL, NULL,
			"of a name with more addresses, the lowest so many are members. A balancer has at "
			"most 256 in all")
	KOLK_OPTION_ROW(uint64_t, dns_stale_max_ns, DURATION, FOREVER, KOLK_FOREVER, KOLK_S_NS,
			365 * DAY, "dns.stale_max", NULL, NULL, "forever",
			"how long the last known addresses stay members while the name does not resolve")
	KOLK_OPTION_ROW(uint32_t, dns_required, SWITCH, 0, 0, 0, 1, "dns.required", NULL, NULL, NULL,
			"the start, or a reload, fails where a new name does not resolve; otherwise requests "
			"get 503 until it does")
	KOLK_OPTION_ROW(uint64_t, dns_start_timeout_ns, DURATION, 0, GW_DNS_START_NS, KOLK_MS_NS,
			60 * KOLK_S_NS, "dns.start_timeout", NULL, NULL, NULL,
			"how long the start waits for the first answer of a new name; a reload as well, "
			"but 2s at most")
};
const struct kolk_option_table gw_balancer_rows =
	KOLK_OPTION_TABLE("balancers", balancer_rows);
#undef KOLK_OPTION_STRUCT

/* clang-format on */
