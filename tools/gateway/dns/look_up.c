/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look_up.c - one round of questions to c-ares: A and AAAA of a name.
 *
 * Each question has a channel of its own, which lives as long as it: resolv.conf is read for each, no
 * answer is kept, and a question can be given up.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tools/gateway/dns/name.h"

/* 1 s, then 2 s: an answer that is later comes with the next round. */
enum { TRY_MS = 1000, TRIES = 2 };

/* An address of IPv4 in IPv6 (RFC 4291, section 2.5.5.2). */
static struct gw_ip ip_of(const struct sockaddr *address)
{
	const struct sockaddr_in6 *six = (const void *)address;
	const struct sockaddr_in *four = (const void *)address;
	struct gw_ip ip = { { [10] = 0xff, [11] = 0xff } };

	if (address->sa_family == AF_INET6)
		memcpy(ip.bytes, &six->sin6_addr, sizeof ip.bytes);
	else
		memcpy(ip.bytes + 12, &four->sin_addr, 4);
	return ip;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct gw_ip));
}

void gw_ips_sort(struct gw_ips *ips)
{
	uint32_t kept = 0;

	qsort(ips->at, ips->count, sizeof *ips->at, by_bytes);
	for (uint32_t i = 0; i < ips->count; i++)
		if (i == 0 || by_bytes(&ips->at[i], &ips->at[kept - 1]) != 0)
			ips->at[kept++] = ips->at[i];
	ips->count = kept;
}

static bool take_addresses(struct gw_look_up *look_up, const struct ares_addrinfo *answer)
{
	struct gw_ips *ips = &look_up->ips;
	uint32_t count = 0;
	int ttl_s = INT32_MAX;

	for (const struct ares_addrinfo_cname *cname = answer->cnames; cname != NULL; cname = cname->next)
		ttl_s = cname->ttl < ttl_s ? cname->ttl : ttl_s;
	for (const struct ares_addrinfo_node *node = answer->nodes; node != NULL; node = node->ai_next)
		count++;
	ips->at = calloc(count + 1, sizeof *ips->at);
	if (ips->at == NULL)
		return false;
	for (const struct ares_addrinfo_node *node = answer->nodes; node != NULL; node = node->ai_next) {
		ips->at[ips->count++] = ip_of(node->ai_addr);
		ttl_s = node->ai_ttl < ttl_s ? node->ai_ttl : ttl_s;
	}
	gw_ips_sort(ips);
	look_up->ttl_s = ttl_s > 0 ? (uint32_t)ttl_s : 0;
	return true;
}

static void on_answer(void *user, int status, int timeouts, struct ares_addrinfo *answer)
{
	struct gw_look_up *look_up = user;

	(void)timeouts;
	look_up->answered = true;
	look_up->status = status;
	if (status == ARES_SUCCESS && !take_addresses(look_up, answer))
		look_up->status = ARES_ENOMEM;
	else if (status == ARES_SUCCESS && look_up->ips.count == 0)
		look_up->status = ARES_ENODATA;
	if (answer != NULL)
		ares_freeaddrinfo(answer);
}

/* One that there is no room for is left to its time-out. */
static void on_socket(void *user, ares_socket_t fd, int in, int out)
{
	struct gw_look_up *look_up = user;
	uint32_t i = 0;

	while (i < look_up->socket_count && look_up->sockets[i].fd != fd)
		i++;
	if (in == 0 && out == 0) {
		if (i < look_up->socket_count)
			look_up->sockets[i] = look_up->sockets[--look_up->socket_count];
		return;
	}
	if (i == GW_SOCKETS_MAX)
		return;
	look_up->socket_count += i == look_up->socket_count;
	look_up->sockets[i].fd = fd;
	look_up->sockets[i].in = in != 0;
	look_up->sockets[i].out = out != 0;
}

static int channel_open(struct gw_look_up *look_up, const char *servers)
{
	struct ares_options options = { .timeout = TRY_MS, .tries = TRIES, .sock_state_cb = on_socket,
					.sock_state_cb_data = look_up };
	int given = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB, status;
	ares_channel *channel = &look_up->channel;

#ifdef ARES_OPT_QUERY_CACHE /* since 1.31 */
	options.qcache_max_ttl = 0;
	given |= ARES_OPT_QUERY_CACHE;
#endif
	status = ares_init_options(channel, &options, given);
	if (status != ARES_SUCCESS) {
		*channel = NULL;
		return status;
	}
	status = servers != NULL ? ares_set_servers_ports_csv(*channel, servers) : ARES_SUCCESS;
	if (status != ARES_SUCCESS) {
		ares_destroy(*channel);
		*channel = NULL;
	}
	return status;
}

void gw_look_up_begin(struct gw_look_up *look_up, const char *host, const char *servers, int family)
{
	const struct ares_addrinfo_hints hints = { .ai_family = family, .ai_socktype = SOCK_STREAM,
						   .ai_flags = ARES_AI_NOSORT };

	free(look_up->ips.at);
	*look_up = (struct gw_look_up){ .channel = NULL };
	look_up->status = channel_open(look_up, servers);
	look_up->answered = look_up->channel == NULL;
	if (look_up->channel != NULL)
		ares_getaddrinfo(look_up->channel, host, NULL, &hints, on_answer, look_up);
}

void gw_look_up_end(struct gw_look_up *look_up)
{
	if (look_up->channel != NULL)
		ares_destroy(look_up->channel); /* what is open is answered by ARES_EDESTRUCTION */
	look_up->channel = NULL;
}

bool gw_look_up_has_none(const struct gw_look_up *look_up)
{
	return look_up->status == ARES_ENODATA || look_up->status == ARES_ENOTFOUND;
}
