/* SPDX-License-Identifier: Apache-2.0 */
/* dns_server.c - DNS (RFC 1035), one question and its answers a message. See dns_server.h. */
#include "tests/gateway/program/dns_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kit/tap.h"

enum { HEADER = 12, TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28, UDP_MAX = 512, MESSAGE = 16384 };

/* ---- messages */

struct message {
	uint8_t bytes[MESSAGE];
	size_t size;
	uint32_t answers;
};

static void put(struct message *m, const void *data, size_t size)
{
	memcpy(m->bytes + m->size, data, size);
	m->size += size;
}

static void put16(struct message *m, uint32_t value)
{
	put(m, (uint8_t[]){ (uint8_t)(value >> 8), (uint8_t)value }, 2);
}

/* name: where in the message it is. */
static void put_record(struct message *m, uint32_t name, uint32_t type, uint32_t ttl_s)
{
	put16(m, 0xc000 | name);
	put16(m, type);
	put16(m, 1);
	put16(m, 0);
	put16(m, ttl_s);
	m->answers++;
}

static void put_address6(struct message *m, uint32_t name, uint32_t ttl_s, const void *address)
{
	put_record(m, name, TYPE_AAAA, ttl_s);
	put16(m, 16);
	put(m, address, 16);
}

static void put_addresses(const struct dns_server *server, struct message *m, uint32_t type)
{
	uint32_t name = HEADER;

	if (server->cname) {
		static const uint8_t other[] = "\5other\4test";

		put_record(m, name, TYPE_CNAME, server->ttl_s);
		put16(m, sizeof other);
		name = (uint32_t)m->size;
		put(m, other, sizeof other);
	}
	for (uint32_t i = 0; type == TYPE_A && i < server->count; i++) {
		put_record(m, name, type, server->ttl_s);
		put16(m, 4);
		put(m, &server->a[i], 4);
	}
	if (type == TYPE_AAAA && server->loopback6)
		put_address6(m, name, server->ttl_s, &in6addr_loopback);
	if (type == TYPE_AAAA && server->mapped6) {
		uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff };

		memcpy(mapped + 12, &server->a[0], 4);
		put_address6(m, name, server->ttl_s, mapped);
	}
}

static void alternate(struct dns_server *server)
{
	uint32_t *last = &server->a[server->count - 1];

	server->odd = !server->odd;
	*last = htonl(ntohl(*last) + (server->odd ? 1 : UINT32_MAX));
}

/* The question becomes its answer. False = there is none. */
static bool answer(struct dns_server *server, struct message *m, bool udp)
{
	size_t end = HEADER;
	uint32_t type;
	enum dns_code code;
	bool truncated, silent;

	while (end < m->size && m->bytes[end] != 0)
		end += m->bytes[end] + 1u;
	if (m->size < HEADER || end + 5 > m->size)
		return false;
	m->size = end + 5;
	m->answers = 0;
	type = m->bytes[end + 2];
	(void)kolk__add_relaxed(&server->questions, 1);
	pthread_mutex_lock(&server->lock);
	code = type == TYPE_AAAA ? server->code6 : server->code;
	truncated = udp && server->truncates;
	silent = server->silent;
	if (code == DNS_OK && !truncated)
		put_addresses(server, m, type);
	if (type == TYPE_A && server->alternates)
		alternate(server);
	pthread_mutex_unlock(&server->lock);
	m->bytes[2] = (uint8_t)(0x81 | (truncated ? 2 : 0));
	m->bytes[3] = (uint8_t)(0x80 | code);
	memset(m->bytes + 6, 0, 6); /* counts of records; one question */
	m->bytes[6] = (uint8_t)(m->answers >> 8);
	m->bytes[7] = (uint8_t)m->answers;
	return !silent;
}

/* ---- sockets */

static void serve_udp(struct dns_server *server)
{
	struct message m;
	struct sockaddr_in from;
	socklen_t size = sizeof from;
	ssize_t got = recvfrom(server->udp, m.bytes, UDP_MAX, MSG_DONTWAIT, (void *)&from, &size);

	m.size = got > 0 ? (size_t)got : 0;
	if (answer(server, &m, true))
		(void)sendto(server->udp, m.bytes, m.size, 0, (void *)&from, size);
}

static bool read_whole(int fd, void *data, size_t size)
{
	return recv(fd, data, size, MSG_WAITALL) == (ssize_t)size;
}

/* One question; c-ares does not use the connection for another one of another channel. */
static void serve_tcp(struct dns_server *server)
{
	const struct timeval second = { .tv_sec = 1 };
	struct message m;
	uint8_t head[2];
	int fd = accept(server->tcp, NULL, NULL);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
	if (read_whole(fd, head, 2)) {
		m.size = (size_t)head[0] << 8 | head[1];
		if (m.size <= UDP_MAX && read_whole(fd, m.bytes, m.size) && answer(server, &m, false)) {
			head[0] = (uint8_t)(m.size >> 8);
			head[1] = (uint8_t)m.size;
			(void)send(fd, head, 2, MSG_NOSIGNAL | MSG_MORE);
			(void)send(fd, m.bytes, m.size, MSG_NOSIGNAL);
			(void)kolk__add_relaxed(&server->by_tcp, 1);
		}
	}
	close(fd);
}

static void *serve(void *user)
{
	struct dns_server *server = user;
	struct pollfd fds[] = { { .fd = server->stop, .events = POLLIN },
				{ .fd = server->udp, .events = POLLIN },
				{ .fd = server->tcp, .events = POLLIN } };

	while (poll(fds, 3, -1) >= 0 && fds[0].revents == 0) {
		if (fds[1].revents != 0)
			serve_udp(server);
		if (fds[2].revents != 0)
			serve_tcp(server);
	}
	return NULL;
}

bool dns_server_open(struct dns_server *server)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t size = sizeof here;

	*server = (struct dns_server){ .lock = PTHREAD_MUTEX_INITIALIZER, .ttl_s = 1 };
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->stop = eventfd(0, EFD_CLOEXEC);
	server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(server->tcp, (void *)&here, size) != 0 || listen(server->tcp, 16) != 0 ||
	    getsockname(server->tcp, (void *)&here, &size) != 0 ||
	    bind(server->udp, (void *)&here, size) != 0)
		return FAILED("there is a port for a name server");
	snprintf(server->where, sizeof server->where, "127.0.0.1:%u", ntohs(here.sin_port));
	return CHECK(pthread_create(&server->thread, NULL, serve, server) == 0);
}

void dns_server_close(struct dns_server *server)
{
	const uint64_t one = 1;

	CHECK(write(server->stop, &one, sizeof one) == sizeof one);
	pthread_join(server->thread, NULL);
	close(server->stop);
	close(server->tcp);
	close(server->udp);
}

/* ---- what it says */

void dns_server_lock(struct dns_server *server)
{
	pthread_mutex_lock(&server->lock);
}

void dns_server_unlock(struct dns_server *server)
{
	pthread_mutex_unlock(&server->lock);
}

void dns_server_say(struct dns_server *server, const char *digits)
{
	dns_server_lock(server);
	server->count = 0;
	server->code = server->code6 = digits[0] != '\0' ? DNS_OK : DNS_NXDOMAIN;
	for (; *digits != '\0'; digits++)
		server->a[server->count++] = htonl(0x7f000000u + (uint32_t)(*digits - '0'));
	dns_server_unlock(server);
}

void dns_server_say_many(struct dns_server *server, uint32_t count)
{
	dns_server_lock(server);
	server->count = count;
	server->code = server->code6 = DNS_OK;
	for (uint32_t i = 0; i < count; i++)
		server->a[i] = htonl(0x7f010000u + count - i);
	dns_server_unlock(server);
}
