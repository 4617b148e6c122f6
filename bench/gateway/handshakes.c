/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshakes.c - handshakes PORT SECONDS open RATE | closed COUNT: full TLS 1.2 handshakes with a
 * server on the loopback, and nothing after them.
 *
 * open: one begins every 1/RATE s, whatever became of those before it. closed: COUNT at a time, a
 * new one when one ends. No session is resumed, and no certificate is checked: that would be this
 * side's work. OpenSSL, because a handshake costs mbedTLS several times as much, and the client
 * must not be what limits the rate.
 *
 * Prints: begun, done, failed, and those that were still going on at the end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define S_NS UINT64_C(1000000000)

enum { EVENTS = 64, EXIT_USAGE = 2 };

struct plan {
	struct sockaddr_in to;
	uint64_t from_ns, end_ns;
	double rate;      /* open: per second; 0 = closed */
	uint64_t at_once; /* closed */
};

struct client {
	struct plan plan;
	SSL_CTX *tls;
	int epoll;
	uint64_t begun, done, failed;
};

struct handshake {
	SSL *ssl;
	int fd;
	bool writes; /* it waits until the socket can be written, not read */
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "handshakes: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * S_NS + (uint64_t)time.tv_nsec;
}

static uint64_t in_flight(const struct client *client)
{
	return client->begun - client->done - client->failed;
}

/* ---- one handshake */

static void end(struct client *client, struct handshake *handshake, bool good)
{
	*(good ? &client->done : &client->failed) += 1;
	if (good)
		(void)SSL_shutdown(handshake->ssl); /* close_notify, if the socket takes it */
	SSL_free(handshake->ssl);
	close(handshake->fd);
	free(handshake);
}

static void watch(struct client *client, struct handshake *handshake, bool writes)
{
	struct epoll_event event = { .events = writes ? EPOLLOUT : EPOLLIN,
				     .data.ptr = handshake };

	if (writes == handshake->writes)
		return;
	handshake->writes = writes;
	if (epoll_ctl(client->epoll, EPOLL_CTL_MOD, handshake->fd, &event) != 0)
		die("epoll");
}

static void step(struct client *client, struct handshake *handshake)
{
	int result = SSL_connect(handshake->ssl);
	int why = SSL_get_error(handshake->ssl, result);

	if (result == 1)
		end(client, handshake, true);
	else if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		watch(client, handshake, why == SSL_ERROR_WANT_WRITE);
	else
		end(client, handshake, false);
}

static struct handshake *handshake_open(struct client *client, int fd)
{
	struct handshake *handshake = calloc(1, sizeof *handshake);
	struct epoll_event event = { .events = EPOLLOUT, .data.ptr = handshake };

	if (handshake == NULL)
		die("memory");
	*handshake = (struct handshake){ .ssl = SSL_new(client->tls), .fd = fd, .writes = true };
	if (handshake->ssl == NULL || SSL_set_fd(handshake->ssl, fd) != 1)
		die("OpenSSL");
	if (epoll_ctl(client->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		die("epoll");
	return handshake;
}

/* Its first step is when the connection is there. */
static void begin(struct client *client)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (connect(fd, (struct sockaddr *)&client->plan.to, sizeof client->plan.to) != 0 &&
	    errno != EINPROGRESS)
		die("connect");
	(void)handshake_open(client, fd);
	client->begun++;
}

/* ---- when they begin */

/* When the next begins; UINT64_MAX = when another ends. */
static uint64_t next_ns(const struct client *client)
{
	const struct plan *plan = &client->plan;

	if (plan->rate > 0)
		return plan->from_ns + (uint64_t)((double)client->begun * S_NS / plan->rate);
	return in_flight(client) < plan->at_once ? 0 : UINT64_MAX;
}

static void wait_until(struct client *client, uint64_t at_ns)
{
	struct epoll_event events[EVENTS];
	uint64_t now_ns = now(), left_ns = at_ns > now_ns ? at_ns - now_ns : 0;
	struct timespec timeout = { .tv_sec = (time_t)(left_ns / S_NS),
				    .tv_nsec = (long)(left_ns % S_NS) };
	int count = epoll_pwait2(client->epoll, events, EVENTS, &timeout, NULL);

	if (count < 0 && errno != EINTR)
		die("epoll");
	for (int i = 0; i < count; i++)
		step(client, events[i].data.ptr);
}

static void run(struct client *client)
{
	const struct plan *plan = &client->plan;

	for (uint64_t now_ns = now(); now_ns < plan->end_ns; now_ns = now()) {
		uint64_t next = next_ns(client);

		if (next <= now_ns)
			begin(client);
		else
			wait_until(client, next < plan->end_ns ? next : plan->end_ns);
	}
}

/* ---- */

static void client_open(struct client *client)
{
	client->epoll = epoll_create1(EPOLL_CLOEXEC);
	client->tls = SSL_CTX_new(TLS_client_method());
	if (client->epoll < 0 || client->tls == NULL ||
	    SSL_CTX_set_max_proto_version(client->tls, TLS1_2_VERSION) != 1)
		die("OpenSSL");
	SSL_CTX_set_verify(client->tls, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(client->tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(client->tls, SSL_OP_NO_TICKET);
}

/* Of which as many are open as the server leaves unanswered. */
static void raise_descriptors(void)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static bool number(const char *text, double max, double *value)
{
	char *rest;

	*value = strtod(text, &rest);
	return *rest == 0 && *value > 0 && *value <= max;
}

static bool read_plan(struct plan *plan, char **argv)
{
	double port, seconds, count;
	bool open = strcmp(argv[3], "open") == 0;

	if (!number(argv[1], UINT16_MAX, &port) || !number(argv[2], 3600, &seconds) ||
	    !number(argv[4], 1e6, &count) || (!open && strcmp(argv[3], "closed") != 0))
		return false;
	plan->to = (struct sockaddr_in){ .sin_family = AF_INET,
					 .sin_port = htons((uint16_t)port),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	plan->from_ns = now();
	plan->end_ns = plan->from_ns + (uint64_t)(seconds * S_NS);
	plan->rate = open ? count : 0;
	plan->at_once = open ? 0 : (uint64_t)count;
	return true;
}

int main(int argc, char **argv)
{
	struct client client = { .epoll = -1 };

	if (argc != 5 || !read_plan(&client.plan, argv)) {
		fprintf(stderr, "usage: handshakes PORT SECONDS open RATE|closed COUNT\n");
		return EXIT_USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	client_open(&client);
	run(&client);
	printf("%ju begun %ju done %ju failed %ju unfinished\n", (uintmax_t)client.begun,
	       (uintmax_t)client.done, (uintmax_t)client.failed, (uintmax_t)in_flight(&client));
	return 0; /* the kernel closes what is unfinished */
}
