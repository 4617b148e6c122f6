/* SPDX-License-Identifier: Apache-2.0 */
/* resolver_channel.c - c-ares' channels: one per list of name servers and state of resolv.conf. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "transport/resolver.h"

enum { TRY_MS = 1000, TRIES = 3 };

static struct file_id file_id_now(void)
{
	struct stat s;

	if (stat("/etc/resolv.conf", &s) != 0)
		return (struct file_id){ 0 };
	return (struct file_id){ s.st_dev, s.st_ino, (uint64_t)s.st_size, (uint64_t)s.st_mtim.tv_sec,
				 (uint64_t)s.st_mtim.tv_nsec };
}

static bool set_servers(const struct channel *channel, const char *servers)
{
	return strlen(servers) < sizeof channel->servers &&
	       (servers[0] == 0 ||
		ares_set_servers_ports_csv(channel->ares, servers) == ARES_SUCCESS);
}

static struct channel *channel_open(struct kolk__resolver *resolver, const char *servers)
{
	struct ares_options options = { .timeout = TRY_MS, .tries = TRIES,
					.sock_state_cb = kolk__resolver_socket_changed,
					.sock_state_cb_data = resolver };
	struct channel *channel = calloc(1, sizeof *channel);
	int given = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;

	if (channel == NULL)
		return NULL;
#ifdef ARES_OPT_QUERY_CACHE /* since 1.31; dns_cache.c keeps answers, and asks for new ones */
	options.qcache_max_ttl = 0;
	given |= ARES_OPT_QUERY_CACHE;
#endif
	channel->file_id = file_id_now(); /* before it is read: a later change is noticed */
	if (ares_init_options(&channel->ares, &options, given) != ARES_SUCCESS) {
		free(channel);
		return NULL;
	}
	if (!set_servers(channel, servers)) {
		ares_destroy(channel->ares);
		free(channel);
		return NULL;
	}
	memcpy(channel->servers, servers, strlen(servers) + 1);
	channel->next = resolver->channels;
	resolver->channels = channel;
	return channel;
}

void kolk__channel_close(struct channel **place)
{
	struct channel *channel = *place;

	*place = channel->next;
	ares_destroy(channel->ares); /* completes open queries with ARES_EDESTRUCTION */
	free(channel);
}

void kolk__channels_close_stale(struct kolk__resolver *resolver)
{
	struct channel **place = &resolver->channels;

	while (*place != NULL)
		if ((*place)->stale && (*place)->in_flight == 0)
			kolk__channel_close(place);
		else
			place = &(*place)->next;
}

/* The system's servers are those of the resolv.conf that is there now. */
static bool is_current(const struct channel *channel)
{
	struct file_id now;

	if (channel->servers[0] != 0)
		return true;
	now = file_id_now();
	return memcmp(&now, &channel->file_id, sizeof now) == 0;
}

struct channel *kolk__channel_of(struct kolk__resolver *resolver, const char *servers)
{
	struct channel *known = resolver->channels, *channel;

	while (known != NULL && (known->stale || strcmp(known->servers, servers) != 0))
		known = known->next;
	if (known != NULL && is_current(known))
		return known;
	channel = channel_open(resolver, servers);
	if (channel == NULL || known == NULL)
		return channel != NULL ? channel : known;
	known->stale = true;
	kolk__channels_close_stale(resolver);
	return channel;
}
