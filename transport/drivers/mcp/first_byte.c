/* SPDX-License-Identifier: Apache-2.0 */
/*
 * first_byte.c - how long answers take to begin: from when a connection had the request, or a pipe,
 * until the head of the answer, or the first message for the call. The wait for a session and the
 * making of one are the pool's (kolk_pool_stats: wait, dial).
 */
#include "transport/drivers/mcp/inside.h"

void kolk__mcp_first_byte(struct kolk_mcp_call *call)
{
	struct mcp_loop *loop = call->client->loop;
	uint64_t now_ns = kolk_loop_now(loop->loop), sent_ns = call->sent_ns;

	if (sent_ns == 0 || call->listen || call->notification)
		return;
	call->sent_ns = 0;
	if (call->post.exchange != NULL && kolk_http_carried_ns(call->post.exchange) != 0)
		sent_ns = kolk_http_carried_ns(call->post.exchange);
	now_ns = now_ns > sent_ns ? now_ns - sent_ns : 0;
	kolk__own_add(&loop->counts.first_bytes[kolk__bucket_of(now_ns)], 1);
	kolk__own_add(&loop->counts.first_bytes_ns, now_ns);
}

void kolk_mcp_first_bytes(const struct kolk_mcp *mcp, const uint64_t *bounds_ns, size_t bounds,
			  uint64_t *cumulative, uint64_t *total, uint64_t *sum_ns)
{
	uint64_t sum = 0;
	size_t at = 0;

	*sum_ns = 0;
	for (uint32_t i = 0; i < mcp->loop_count; i++)
		*sum_ns += kolk__load_relaxed(&mcp->loops[i].counts.first_bytes_ns);
	for (uint32_t bucket = 0; bucket < KOLK__BUCKETS; bucket++) {
		while (at < bounds && (bucket == KOLK__BUCKETS - 1 ||
				       bounds_ns[at] < kolk__bucket_bound_ns(bucket)))
			cumulative[at++] = sum;
		for (uint32_t i = 0; i < mcp->loop_count; i++)
			sum += kolk__load_relaxed(&mcp->loops[i].counts.first_bytes[bucket]);
	}
	*total = sum;
}
