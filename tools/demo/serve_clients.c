/* SPDX-License-Identifier: Apache-2.0 */
/* serve_clients.c - clients of a pool: acquire, request, hold, release, pause. */
#include <time.h>

#include "core/base/atomic.h"
#include "tools/demo/serve.h"

enum { FORGETFUL = 4711 };

static const char *const tenants[TENANTS] = { "alice", "bob", "carol", "dave", "gold" };

static uint32_t random_below(struct client *client, uint32_t bound)
{
	client->random = client->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(client->random >> 33) % bound;
}

static void nap_ms(uint32_t ms)
{
	struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&time, NULL);
}

static bool is_stopping(const struct client *client)
{
	return kolk__load_relaxed(&client->group->stop) != 0;
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

static void request_once(struct client *client)
{
	bool forgets = client->number == 1 && random_below(client, 150) == 0;
	struct kolk_lease lease;

	if (kolk_acquire(client->key, kolk_in_ms(150), &lease) != KOLK_OK)
		return;
	(void)kolk_lease_tag(&lease, forgets ? FORGETFUL : client->number);
	if (echo(&lease) != KOLK_OK) {
		(void)kolk_discard(&lease);
		return;
	}
	for (int i = 0; forgets && i < 60 && !is_stopping(client); i++)
		nap_ms(100);
	nap_ms(1 + random_below(client, client->group->upstream->hold_ms));
	(void)kolk_release(&lease);
}

static void *client_run(void *user)
{
	struct client *client = user;

	while (!is_stopping(client)) {
		request_once(client);
		nap_ms(1 + random_below(client, client->group->upstream->pause_ms));
	}
	return NULL;
}

static void client_start(struct group *group, struct kolk_pool *pool, const char *tenant)
{
	struct client *client = &group->clients[group->count];
	struct kolk_key_options options = KOLK_INIT(kolk_key_options);

	options.tenant = tenant;
	if (kolk_key_open(pool, &options, &client->key) != KOLK_OK)
		return; /* not while the pool drains, say */
	client->group = group;
	client->number = group->first + group->count;
	client->random = client->number;
	if (pthread_create(&client->thread, NULL, client_run, client) == 0)
		group->count++;
	else
		kolk_key_close(client->key);
}

void clients_start(struct group *group, struct kolk_pool *pool)
{
	kolk__store_relaxed(&group->stop, 0);
	for (uint32_t i = 0; i < TENANTS * group->upstream->clients && group->count < GROUP_MAX; i++)
		client_start(group, pool, tenants[i % TENANTS]);
}

void clients_stop(struct group *group)
{
	kolk__store_relaxed(&group->stop, 1);
	for (; group->count > 0; group->count--) {
		struct client *client = &group->clients[group->count - 1];

		pthread_join(client->thread, NULL);
		kolk_key_close(client->key);
	}
}
