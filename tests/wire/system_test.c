/* SPDX-License-Identifier: Apache-2.0 */
/*
 * system_test.c - what the system says may change while a process runs: resolv.conf, the number of
 * an interface. In name spaces of a child's own, where both can be changed. Needs root.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/wire/wire.h"

enum { NO_NAME_SPACE = 77 };

static void apart(void (*test)(void))
{
	int status = 0;
	pid_t child;

	if (!wire_may_fork())
		return;
	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		    system("ip link set lo up 2> /dev/null") != 0)
			_exit(NO_NAME_SPACE);
		alarm(30);
		test();
		fflush(stdout);
		_exit(tap_is_failing());
	}
	waitpid(child, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_NAME_SPACE)
		tap_skip("name spaces need root, and the ip command");
	else
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- resolv.conf */

/* A name server at this address, port 53, that knows every name. */
static void *know(void *arg)
{
	static const uint8_t answer[16] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1 };
	int fd = *(int *)arg;
	struct sockaddr_in from;
	uint8_t bytes[600];

	for (;;) {
		socklen_t length = sizeof from;
		ssize_t size = recvfrom(fd, bytes, 512, 0, (struct sockaddr *)&from, &length);
		bool is_a;

		if (size < 17)
			return NULL;
		is_a = bytes[12 + strlen((char *)bytes + 12) + 2] == 1;
		size = 12 + (ssize_t)strlen((char *)bytes + 12) + 5; /* without EDNS */
		bytes[2] = 0x81;
		bytes[3] = 0x80;
		memset(bytes + 6, 0, 6);
		bytes[7] = is_a;
		memcpy(bytes + size, answer, sizeof answer);
		size += is_a ? (ssize_t)sizeof answer : 0;
		(void)sendto(fd, bytes, (size_t)size, 0, (struct sockaddr *)&from, length);
	}
}

static void resolver_changes(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(53) };
	char path[] = "/tmp/kolk-resolv-XXXXXX", address[64];
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	int file = mkstemp(path), fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct wire w = { 0 };
	pthread_t thread;

	here.sin_addr.s_addr = inet_addr("127.0.0.3");
	MUST(file >= 0 && bind(fd, (struct sockaddr *)&here, sizeof here) == 0);
	MUST(pthread_create(&thread, NULL, know, &fd) == 0 && pthread_detach(thread) == 0);
	MUST(kit_file_write(path, "nameserver 127.0.0.2\n"));
	if (mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) != 0)
		_exit(NO_NAME_SPACE);
	e.loops = 1; /* each reads it at its first name */
	MUST(wire_origin(&w, NULL) && wire_engine(&w, &e));
	snprintf(address, sizeof address, "moved.test:%u", kit_origin_port(w.origin));
	o.address = address;
	o.idle_min = KOLK_NONE;
	o.retry_interval_ns = o.retry_max_ns = KOLK_MS_NS;
	o.resolve_timeout_ns = 500 * KOLK_MS_NS;
	o.circuit_failures = KOLK_NONE;
	MUST(wire_pool(&w, &o));
	CHECK(wire_request(w.key, "hello\n") != KOLK_OK); /* no listener there */
	MUST(kit_file_write("/etc/resolv.conf", "nameserver 127.0.0.3\n"));
	CHECK(WITHIN_MS(8000, wire_request(w.key, "hello\n") == KOLK_OK));
	wire_close(&w);
	unlink(path);
}

static void resolver(void)
{
	apart(resolver_changes);
}

/* ---- the number of an interface */

static bool interface_up(void)
{
	return system("ip link add kolk0 type veth peer name kolk1 && ip link set kolk0 up && "
		      "ip link set kolk1 up && ip addr add fe80::5/64 dev kolk0 nodad") == 0;
}

static void *echo(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char bytes[64];
	ssize_t size;

	while ((size = recv(fd, bytes, sizeof bytes, 0)) > 0)
		(void)send(fd, bytes, (size_t)size, MSG_NOSIGNAL);
	close(fd);
	return NULL;
}

/* One thread each: the end of a connection whose interface went never comes. */
static void *serve(void *arg)
{
	int listener = *(int *)arg, fd;
	pthread_t thread;

	while ((fd = accept(listener, NULL, NULL)) >= 0)
		if (pthread_create(&thread, NULL, echo, (void *)(intptr_t)fd) != 0 ||
		    pthread_detach(thread) != 0)
			close(fd);
	return NULL;
}

static void interface_changes(void)
{
	struct sockaddr_in6 here = { .sin6_family = AF_INET6, .sin6_port = htons(4747) };
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct wire w = { 0 };
	pthread_t thread;
	unsigned before;

	if (!interface_up())
		_exit(NO_NAME_SPACE);
	MUST(bind(listener, (struct sockaddr *)&here, sizeof here) == 0 && listen(listener, 8) == 0);
	MUST(pthread_create(&thread, NULL, serve, &listener) == 0 && pthread_detach(thread) == 0);
	before = if_nametoindex("kolk0");
	o.address = "[fe80::5%kolk0]:4747";
	o.bind_address = "fe80::5%kolk0";
	o.idle_min = KOLK_NONE;
	o.retry_interval_ns = o.retry_max_ns = KOLK_MS_NS;
	o.circuit_failures = KOLK_NONE;
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	MUST(system("ip link del kolk0") == 0);
	(void)kolk_pool_clear(w.pool);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_UNREACHABLE);
	CHECK(kolk_key_failure(w.key, &failure) && failure.phase == KOLK_PHASE_CONNECT);
	MUST(interface_up() && if_nametoindex("kolk0") != before);
	CHECK(WITHIN_MS(8000, wire_request(w.key, "hello\n") == KOLK_OK));
	wire_close(&w);
}

static void interface(void)
{
	apart(interface_changes);
}

static const struct tap_test tests[] = {
	{ "resolv.conf changes", resolver },
	{ "an interface gets another number", interface },
};
TAP_TESTS(system, tests);
