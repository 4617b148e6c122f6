/* SPDX-License-Identifier: Apache-2.0 */
/* latency.c - how long something took, as JSON and as a metric. */
#include "tools/gateway/status/status.h"

#include <inttypes.h>

json_t *gw_status_latency(const struct gw_numbers *numbers)
{
	json_t *object = json_object();

	gw_status_put(object, "count", numbers->timed);
	gw_status_put(object, "meanNs", numbers->timed != 0 ? numbers->sum_ns / numbers->timed : 0);
	gw_status_put(object, "p50Ns", gw_numbers_quantile(numbers, 500));
	gw_status_put(object, "p90Ns", gw_numbers_quantile(numbers, 900));
	gw_status_put(object, "p99Ns", gw_numbers_quantile(numbers, 990));
	gw_status_put(object, "p999Ns", gw_numbers_quantile(numbers, 999));
	return object;
}

void gw_status_print_histogram(FILE *out, const char *name, const struct gw_status_label *label,
			       const struct gw_numbers *numbers)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} bounds[] = {
		{ "0.0001", 100 * KOLK_US_NS }, { "0.00025", 250 * KOLK_US_NS },
		{ "0.0005", 500 * KOLK_US_NS }, { "0.001", KOLK_MS_NS },
		{ "0.0025", 2500 * KOLK_US_NS }, { "0.005", 5 * KOLK_MS_NS },
		{ "0.01", 10 * KOLK_MS_NS }, { "0.025", 25 * KOLK_MS_NS },
		{ "0.05", 50 * KOLK_MS_NS }, { "0.1", 100 * KOLK_MS_NS },
		{ "0.25", 250 * KOLK_MS_NS }, { "0.5", 500 * KOLK_MS_NS }, { "1", KOLK_S_NS },
		{ "2.5", 2500 * KOLK_MS_NS }, { "5", 5 * KOLK_S_NS }, { "10", 10 * KOLK_S_NS },
		{ "30", 30 * KOLK_S_NS }, { "60", 60 * KOLK_S_NS },
	};

	const char *key = label->key, *value = label->value;

	for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
		fprintf(out, "%s_bucket{%s=\"%s\",le=\"%s\"} %" PRIu64 "\n", name, key, value,
			bounds[i].text, gw_numbers_below(numbers, bounds[i].ns));
	fprintf(out, "%s_bucket{%s=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, key, value,
		numbers->timed);
	fprintf(out, "%s_sum{%s=\"%s\"} %" PRIu64 ".%09" PRIu64 "\n", name, key, value,
		numbers->sum_ns / KOLK_S_NS, numbers->sum_ns % KOLK_S_NS);
	fprintf(out, "%s_count{%s=\"%s\"} %" PRIu64 "\n", name, key, value, numbers->timed);
}
