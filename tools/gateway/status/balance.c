/* SPDX-License-Identifier: Apache-2.0 */
/* balance.c - the numbers of members of balancers, as JSON and as metrics. */
#include <inttypes.h>

#include "tools/gateway/load.h"
#include "tools/gateway/status/status.h"

/* ---- JSON */

static const char *state_of(const struct gw_load *load)
{
	return kolk__load_relaxed(&load->down) ? "down" : "up";
}

static void append_member(void *user, const struct gw_load *load)
{
	json_t *members = user, *object = json_object(), *check = json_object();
	enum kolk_err err = kolk__load_relaxed(&load->err);

	gw_status_put_text(object, "balancer", load->balancer);
	gw_status_put_text(object, "pool", load->pool);
	gw_status_put_text(object, "state", state_of(load));
	gw_status_put(object, "weight", kolk__load_relaxed(&load->weight));
	gw_status_put(object, "inFlight", kolk__load_relaxed(&load->in_flight));
	gw_status_put(object, "requests", kolk__load_relaxed(&load->requests));
	gw_status_put(object, "failed", kolk__load_relaxed(&load->failed));
	gw_status_put(object, "moved", kolk__load_relaxed(&load->moved));
	gw_status_put(check, "count", kolk__load_relaxed(&load->checks));
	gw_status_put(check, "failed", kolk__load_relaxed(&load->checks_failed));
	gw_status_put(check, "status", kolk__load_relaxed(&load->status));
	gw_status_put_text(check, "error", err != KOLK_OK ? kolk_err_name(err) : "");
	json_object_set_new_nocheck(object, "checks", check);
	gw_status_put_text(object, "from", load->host);
	json_array_append_new(members, object);
}

void gw_status_put_members(json_t *root)
{
	json_t *members = json_array();

	gw_load_each(append_member, members);
	json_object_set_new_nocheck(root, "members", members);
}

/* ---- metrics: names come from the file, and at most 256 members of a balancer from DNS, so that
 * labels are bounded */

enum { FAMILIES = 7 };

static const struct {
	const char *name, *type, *help;
} families[FAMILIES] = {
	{ "up", "gauge", "1 = the checks of the member do not say that it is down." },
	{ "in_flight", "gauge", "Requests that are at the member." },
	{ "requests_total", "counter", "Requests that ended at the member." },
	{ "failed_total", "counter", "Of these, those at which it failed." },
	{ "moved_total", "counter", "Of these, those that went on to another member." },
	{ "checks_total", "counter", "Checks of its health." },
	{ "checks_failed_total", "counter", "Of these, those that were bad." },
};

static uint64_t number_of(const struct gw_load *load, uint32_t family)
{
	switch (family) {
	case 0:
		return !kolk__load_relaxed(&load->down);
	case 1:
		return kolk__load_relaxed(&load->in_flight);
	case 2:
		return kolk__load_relaxed(&load->requests);
	case 3:
		return kolk__load_relaxed(&load->failed);
	case 4:
		return kolk__load_relaxed(&load->moved);
	case 5:
		return kolk__load_relaxed(&load->checks);
	default:
		return kolk__load_relaxed(&load->checks_failed);
	}
}

struct rows {
	FILE *out;
	uint32_t family;
	bool any;
};

void gw_status_print_label(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			fputc('\\', out);
		fputc(*text == '\n' ? ' ' : *text, out);
	}
}

static void put_row(void *user, const struct gw_load *load)
{
	struct rows *rows = user;
	const char *name = families[rows->family].name;

	if (!rows->any)
		fprintf(rows->out, "# HELP kolk_gateway_member_%s %s\n# TYPE kolk_gateway_member_%s %s\n",
			name, families[rows->family].help, name, families[rows->family].type);
	rows->any = true;
	fprintf(rows->out, "kolk_gateway_member_%s{balancer=\"", name);
	gw_status_print_label(rows->out, load->balancer);
	fputs("\",pool=\"", rows->out);
	gw_status_print_label(rows->out, load->pool);
	fprintf(rows->out, "\"} %" PRIu64 "\n", number_of(load, rows->family));
}

void gw_status_print_members(FILE *out)
{
	for (uint32_t i = 0; i < FAMILIES; i++)
		gw_load_each(put_row, &(struct rows){ .out = out, .family = i });
}
