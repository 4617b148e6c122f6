/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_stats.c - what a loop counts. */
#include "transport/drivers/http_server.h"

void hs_count_request(struct kolk_http_server_exchange *exchange)
{
	struct hs_counters *counters = &exchange->conn->loop->counters;

	kolk__own_add(&counters->exchanges, 1);
	kolk__own_add(&counters->requests, 1);
	if (exchange->h2 != NULL)
		kolk__own_add(&counters->requests_http2, 1);
}

void hs_count_end(struct hs_loop *loop, enum kolk_err err)
{
	struct hs_counters *counters = &loop->counters;

	kolk__own_sub(&counters->exchanges, 1);
	if (err == KOLK_OK)
		kolk__own_add(&counters->answered, 1);
	else if (err == KOLK_E_CLOSED || err == KOLK_E_RESET)
		kolk__own_add(&counters->gone, 1);
	else if (err == KOLK_E_TIMEOUT)
		kolk__own_add(&counters->timed_out, 1);
	else
		kolk__own_add(&counters->failed, 1);
}

void hs_count_answer(struct hs_loop *loop, uint32_t status)
{
	kolk__own_add(&loop->counters.status[status / 100], 1);
}

void hs_count_refused(struct hs_conn *conn, uint32_t status)
{
	struct hs_loop *loop = conn->loop;

	kolk__own_add(&loop->counters.refused, 1);
	if (loop->handler->refused != NULL)
		loop->handler->refused(loop->server_user, conn->wire_user, status);
}

void hs_stats_add(const struct hs_loop *loop, struct kolk_http_server_stats *stats)
{
	const struct hs_counters *counters = &loop->counters;

	stats->connections += (uint32_t)kolk__load_relaxed(&counters->connections);
	stats->exchanges += (uint32_t)kolk__load_relaxed(&counters->exchanges);
	stats->requests += kolk__load_relaxed(&counters->requests);
	stats->requests_http2 += kolk__load_relaxed(&counters->requests_http2);
	stats->answered += kolk__load_relaxed(&counters->answered);
	stats->gone += kolk__load_relaxed(&counters->gone);
	stats->timed_out += kolk__load_relaxed(&counters->timed_out);
	stats->failed += kolk__load_relaxed(&counters->failed);
	stats->refused += kolk__load_relaxed(&counters->refused);
	for (int i = 0; i < 6; i++)
		stats->status[i] += kolk__load_relaxed(&counters->status[i]);
	stats->bytes_received += kolk__load_relaxed(&counters->received);
	stats->bytes_sent += kolk__load_relaxed(&counters->sent);
}
