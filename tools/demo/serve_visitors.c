/* SPDX-License-Identifier: Apache-2.0 */
/* serve_visitors.c - tenants at a pool: borrow, ask, hold a while, give back, rest. */
#include <time.h>

#include "core/base/atomic.h"
#include "tools/demo/serve.h"

enum { FORGETFUL = 4711 };

static const char *const tenants[TENANTS] = { "alice", "bob", "carol", "dave", "gold" };

static uint32_t random_below(struct visitor *visitor, uint32_t bound)
{
	visitor->random = visitor->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(visitor->random >> 33) % bound;
}

static void nap_ms(uint32_t ms)
{
	struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&time, NULL);
}

static bool is_over(const struct visitor *visitor)
{
	return kolk__load_relaxed(&visitor->crowd->stop) != 0;
}

static enum kolk_err echo(const struct kolk_lease *lease)
{
	uint64_t deadline = kolk_in_ms(1000);
	char buffer[64];
	size_t size = 0, got = 0;
	enum kolk_err err = kolk_send_all(lease, "hello\n", 6, deadline);

	while (err == KOLK_OK && size < 6) {
		err = kolk_recv(lease, buffer + size, sizeof buffer - size, deadline, &got);
		size += got;
	}
	return err;
}

static void visit(struct visitor *visitor)
{
	bool forgets = visitor->number == 1 && random_below(visitor, 150) == 0;
	struct kolk_lease lease;

	if (kolk_acquire(visitor->key, kolk_in_ms(150), &lease) != KOLK_OK)
		return;
	(void)kolk_lease_tag(&lease, forgets ? FORGETFUL : visitor->number);
	if (echo(&lease) != KOLK_OK) {
		(void)kolk_discard(&lease);
		return;
	}
	for (int i = 0; forgets && i < 60 && !is_over(visitor); i++)
		nap_ms(100);
	nap_ms(1 + random_below(visitor, visitor->crowd->shop->hold_ms));
	(void)kolk_release(&lease);
}

static void *visitor_run(void *user)
{
	struct visitor *visitor = user;

	while (!is_over(visitor)) {
		visit(visitor);
		nap_ms(1 + random_below(visitor, visitor->crowd->shop->pause_ms));
	}
	return NULL;
}

static void come(struct crowd *crowd, struct kolk_pool *pool, const char *tenant)
{
	struct visitor *visitor = &crowd->visitors[crowd->count];
	struct kolk_key_options options = KOLK_INIT(kolk_key_options);

	options.tenant = tenant;
	if (kolk_key_open(pool, &options, &visitor->key) != KOLK_OK)
		return; /* not while the pool drains, say */
	visitor->crowd = crowd;
	visitor->number = crowd->first + crowd->count;
	visitor->random = visitor->number;
	if (pthread_create(&visitor->thread, NULL, visitor_run, visitor) == 0)
		crowd->count++;
	else
		kolk_key_close(visitor->key);
}

void visitors_come(struct crowd *crowd, struct kolk_pool *pool)
{
	kolk__store_relaxed(&crowd->stop, 0);
	for (uint32_t i = 0; i < TENANTS * crowd->shop->visitors && crowd->count < CROWD_MAX; i++)
		come(crowd, pool, tenants[i % TENANTS]);
}

void visitors_leave(struct crowd *crowd)
{
	kolk__store_relaxed(&crowd->stop, 1);
	for (; crowd->count > 0; crowd->count--) {
		struct visitor *visitor = &crowd->visitors[crowd->count - 1];

		pthread_join(visitor->thread, NULL);
		kolk_key_close(visitor->key);
	}
}
