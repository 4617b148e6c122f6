/* SPDX-License-Identifier: Apache-2.0 */
/* http2_test.c - HTTP/2 against nghttpd and nginx. */
#include <inttypes.h>
#include <stdio.h>

#include "tests/peers/http2.h"

static void note(const char *what, const struct load_result *result, const struct kolk_stats *stats)
{
	tap_note("%s: %" PRIu64 " ok, %" PRIu64 " cancelled, %" PRIu64 " failed (%s), %" PRIu64
		 " foreign, %" PRIu64 " retried, %" PRIu64 " connections",
		 what, result->ok, result->cancelled, result->failed,
		 kolk_err_name(result->last_err), result->foreign, result->retried,
		 stats->created);
}

static struct load *open_h2c(const struct kit_peer *peer, uint32_t connections_max)
{
	struct load_options options = { .address = peer->h2c_address,
					.http.protocols = KOLK_HTTP_2_ONLY,
					.connections_max = connections_max };

	return load_open(&options);
}

/* 10 000 at once through one key: as many connections as that needs, and not one more. */
static void ten_thousand_at_once(void)
{
	const char *const args[] = { "-m", "100", NULL };
	struct kit_nghttpd_options options = { .args = args };
	struct load_plan plan = { .requests = peers_requests(30000), .at_once = 10000,
				  .target = "/small" };
	struct kit_peer *peer = kit_nghttpd_start(&options);
	struct load_result result;
	struct kolk_stats stats;
	struct load *load;

	if (peer == NULL)
		return;
	load = open_h2c(peer, 200);
	result = load_run(load, &plan);
	stats = load_stats(load);
	note("nghttpd -m 100", &result, &stats);
	CHECK(result.ok == plan.requests && result.version[2] == plan.requests);
	CHECK(stats.created == 100);
	load_close(load);
	kit_peer_close(peer);
}

static const struct tap_test tests[] = {
	{ "10 000 at once take 100 connections", ten_thousand_at_once },
};
PEERS_TESTS(http2, tests);
