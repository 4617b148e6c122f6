/* SPDX-License-Identifier: Apache-2.0 */
/* dns.c - what is known of names that resolve to members, as JSON and as metrics. */
#include <inttypes.h>

#include "tools/gateway/dns/dns.h"
#include "tools/gateway/status/status.h"

/* ---- JSON */

static void append_name(void *user, const struct gw_dns_numbers *numbers)
{
	json_t *names = user, *object = json_object();

	gw_status_put_text(object, "balancer", numbers->balancer);
	gw_status_put_text(object, "pool", numbers->pool);
	gw_status_put_text(object, "name", numbers->name);
	gw_status_put_text(object, "state", numbers->state);
	gw_status_put(object, "addresses", numbers->addresses);
	gw_status_put(object, "members", numbers->members);
	gw_status_put(object, "ageNs", numbers->age_ns);
	gw_status_put(object, "ttlNs", numbers->ttl_ns);
	gw_status_put(object, "rounds", numbers->rounds);
	gw_status_put(object, "failures", numbers->failures);
	gw_status_put_text(object, "error", numbers->error);
	json_array_append_new(names, object);
}

void gw_status_put_names(json_t *root)
{
	json_t *names = json_array();

	gw_dns_look(append_name, names);
	json_object_set_new_nocheck(root, "names", names);
}

/* ---- metrics: names come from the file, so that labels are bounded by it */

enum { FAMILIES = 5 };

static const struct {
	const char *name, *type, *help;
} families[FAMILIES] = {
	{ "stale", "gauge", "1 = the name does not resolve now." },
	{ "members", "gauge", "Members that are addresses of the name." },
	{ "age_seconds", "gauge", "Since the name resolved last; 0 = it never did." },
	{ "rounds_total", "counter", "Rounds of questions for the name that ended." },
	{ "failures_total", "counter", "Of these, those that brought no address." },
};

static uint64_t number_of(const struct gw_dns_numbers *numbers, uint32_t family)
{
	switch (family) {
	case 0:
		return numbers->error[0] != '\0';
	case 1:
		return numbers->members;
	case 2:
		return numbers->age_ns / KOLK_S_NS;
	case 3:
		return numbers->rounds;
	default:
		return numbers->failures;
	}
}

struct rows {
	FILE *out;
	uint32_t family;
	bool any;
};

static void put_row(void *user, const struct gw_dns_numbers *numbers)
{
	struct rows *rows = user;
	const char *name = families[rows->family].name;

	if (!rows->any)
		fprintf(rows->out, "# HELP kolk_gateway_name_%s %s\n# TYPE kolk_gateway_name_%s %s\n",
			name, families[rows->family].help, name, families[rows->family].type);
	rows->any = true;
	fprintf(rows->out, "kolk_gateway_name_%s{balancer=\"", name);
	gw_status_print_label(rows->out, numbers->balancer);
	fputs("\",pool=\"", rows->out);
	gw_status_print_label(rows->out, numbers->pool);
	fputs("\",name=\"", rows->out);
	gw_status_print_label(rows->out, numbers->name);
	fprintf(rows->out, "\"} %" PRIu64 "\n", number_of(numbers, rows->family));
}

void gw_status_print_names(FILE *out)
{
	for (uint32_t i = 0; i < FAMILIES; i++)
		gw_dns_look(put_row, &(struct rows){ .out = out, .family = i });
}
