/* SPDX-License-Identifier: Apache-2.0 */
/* name_server.c - DNS over UDP, one question and its answers a packet. See name_server.h. */
#include "tests/wire/name_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kit/tap.h"

static size_t question_end(const uint8_t *bytes, size_t size)
{
	size_t end = 12;

	while (end < size && bytes[end] != 0)
		end += bytes[end] + 1u;
	return end + 5;
}

static uint32_t type_of(const uint8_t *bytes, size_t size)
{
	return bytes[question_end(bytes, size) - 3];
}

/* RFC 1035, section 4.1.3; the name is the question's. Returns its size. */
static size_t record_write(uint8_t *bytes, uint32_t type, uint32_t ttl_s, const void *address)
{
	const uint8_t size = type == TYPE_A ? 4 : 16;
	const uint8_t record[12] = { 0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, (uint8_t)ttl_s, 0,
				     size };

	memcpy(bytes, record, sizeof record);
	memcpy(bytes + sizeof record, address, size);
	return sizeof record + size;
}

/* RFC 1035, section 4: the header, the question as it came, records that point at it. */
static size_t reply(struct name_server *server, uint8_t *bytes, size_t size)
{
	size_t end = question_end(bytes, size);
	uint32_t count, part, first, type;

	if (end > size)
		return 0;
	pthread_mutex_lock(&server->lock);
	type = bytes[end - 3];
	part = server->part != 0 && server->part < server->count ? server->part : server->count;
	count = type == TYPE_A ? part : type == TYPE_AAAA ? server->count6 : 0;
	first = type == TYPE_A && count > 0 ? (uint32_t)(server->given++ * server->shift) : 0;
	bytes[2] = 0x81;
	bytes[3] = server->count + server->count6 > 0 ? 0x80 : 0x83; /* NXDOMAIN */
	memset(bytes + 6, 0, 6);
	bytes[7] = (uint8_t)count;
	for (uint32_t i = 0; i < count; i++)
		end += record_write(bytes + end, type, server->ttl_s,
				    type == TYPE_A ?
					    (void *)&server->address[(first + i) % server->count] :
					    (void *)&server->address6[i]);
	if (server->refuses == type)
		bytes[3] = 0x82; /* SERVFAIL */
	if (server->silent || server->drops == type)
		end = 0;
	pthread_mutex_unlock(&server->lock);
	kolk__add_relaxed(&server->questions, type == TYPE_A && count > 0);
	return end;
}

struct packet {
	uint8_t bytes[1024];
	size_t size;
	uint64_t due_ms; /* 0 = it is sent */
	struct sockaddr_in to;
};

static void packet_send(const struct name_server *server, struct packet *packet)
{
	if (packet->size > 0)
		(void)sendto(server->fd, packet->bytes, packet->size, 0,
			     (struct sockaddr *)&packet->to, sizeof packet->to);
	packet->due_ms = 0;
}

/* True when a question is there; what is due meanwhile is sent. */
static bool await_question(const struct name_server *server, struct packet *late)
{
	struct pollfd in = { .fd = server->fd, .events = POLLIN };
	uint64_t now_ms = tap_now_ms();

	if (late->due_ms == 0)
		return true; /* recvfrom waits */
	if (poll(&in, 1, late->due_ms > now_ms ? (int)(late->due_ms - now_ms) : 0) > 0)
		return true;
	packet_send(server, late);
	return false;
}

/* 0 = the answer goes out at once. */
static int delay_of(struct name_server *server, const struct packet *packet)
{
	int delay_ms;

	pthread_mutex_lock(&server->lock);
	delay_ms = packet->size > 0 && type_of(packet->bytes, packet->size) == server->delays ?
			   server->delay_ms : 0;
	pthread_mutex_unlock(&server->lock);
	return delay_ms;
}

static void *serve(void *arg)
{
	struct name_server *server = arg;
	struct packet late = { .due_ms = 0 }, packet;

	for (;;) {
		socklen_t length = sizeof packet.to;
		ssize_t got;
		int delay_ms;

		if (!await_question(server, &late))
			continue;
		got = recvfrom(server->fd, packet.bytes, 512, 0, (struct sockaddr *)&packet.to,
			       &length);
		if (got <= 0)
			return NULL; /* shut down */
		packet.size = got >= 17 ? reply(server, packet.bytes, (size_t)got) : 0;
		delay_ms = delay_of(server, &packet);
		if (delay_ms == 0) {
			packet_send(server, &packet);
			continue;
		}
		late = packet;
		late.due_ms = tap_now_ms() + (uint64_t)delay_ms;
	}
}

void name_server_answers(struct name_server *server, uint32_t count, const char *first,
		    const char *second, uint32_t ttl_s)
{
	pthread_mutex_lock(&server->lock);
	server->count = count;
	server->address[0] = inet_addr(first);
	server->address[1] = inet_addr(second);
	server->ttl_s = ttl_s;
	pthread_mutex_unlock(&server->lock);
}

bool name_server_open(struct name_server *server)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t size = sizeof here;

	*server = (struct name_server){ .lock = PTHREAD_MUTEX_INITIALIZER };
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!CHECK(bind(server->fd, (struct sockaddr *)&here, size) == 0 &&
		   getsockname(server->fd, (struct sockaddr *)&here, &size) == 0))
		return false;
	snprintf(server->where, sizeof server->where, "127.0.0.1:%u", ntohs(here.sin_port));
	return CHECK(pthread_create(&server->thread, NULL, serve, server) == 0);
}

void name_server_close(struct name_server *server)
{
	(void)shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->fd);
}
