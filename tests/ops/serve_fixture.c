/* SPDX-License-Identifier: Apache-2.0 */
/* serve_fixture.c - an admin server whose requests are bytes. */
#include "tests/ops/serve_fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/kit/tap.h"

int serve_fixture_open(void **state)
{
	struct serve_fixture *fixture = calloc(1, sizeof *fixture);
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);

	strcpy(fixture->folder, "/tmp/kolk-admin-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	(void)snprintf(fixture->path, sizeof fixture->path, "%s/admin.sock", fixture->folder);
	(void)snprintf(fixture->listen, sizeof fixture->listen, "unix:%s", fixture->path);
	e.loops = 1;
	assert_int_equal(kolk_engine_create(&e, &fixture->engine), KOLK_OK);
	*state = fixture;
	return 0;
}

int serve_fixture_close(void **state)
{
	struct serve_fixture *fixture = *state;

	kolk_admin_close(fixture->admin);
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	(void)unlink(fixture->path);
	assert_int_equal(rmdir(fixture->folder), 0);
	free(fixture);
	return 0;
}

struct kolk_admin_options serve_options(const struct serve_fixture *fixture)
{
	struct kolk_admin_options o = KOLK_INIT(kolk_admin_options);

	o.listen = fixture->listen;
	return o;
}

void serve_open_with_token(struct serve_fixture *fixture)
{
	struct kolk_admin_options o = serve_options(fixture);

	o.listen = "127.0.0.1:0";
	o.token = TOKEN;
	o.token_size = sizeof TOKEN - 1;
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_OK);
}

int serve_connect(const struct serve_fixture *fixture)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET };
	const char *address = kolk_admin_address(fixture->admin);
	bool tcp = strncmp(address, "unix:", 5) != 0;
	int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0);

	strcpy(un.sun_path, fixture->path);
	if (tcp)
		in.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, tcp ? (void *)&in : (void *)&un,
		    tcp ? (socklen_t)sizeof in : (socklen_t)sizeof un) == 0)
		return fd;
	close(fd);
	return -1;
}

void serve_say_bytes(int fd, const char *bytes, size_t size)
{
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
}

void serve_say(int fd, const char *text)
{
	serve_say_bytes(fd, text, strlen(text));
}

bool serve_read_to_end(struct serve_fixture *fixture, int fd, int ms)
{
	struct tap_wait wait = tap_wait_begin((uint64_t)ms);
	size_t size = 0;
	ssize_t got;

	fixture->answer[0] = 0;
	while (tap_wait_nap(&wait)) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

		if (poll(&poll_fd, 1, 10) == 0)
			continue;
		got = recv(fd, fixture->answer + size, sizeof fixture->answer - 1 - size, 0);
		if (got <= 0)
			return true;
		size += (size_t)got;
		fixture->answer[size] = 0;
	}
	return false;
}

int serve_ask_bytes(struct serve_fixture *fixture, const char *request, size_t size)
{
	int fd = serve_connect(fixture), status = 0;

	assert_true(fd >= 0);
	serve_say_bytes(fd, request, size);
	assert_true(serve_read_to_end(fixture, fd, 5000));
	close(fd);
	(void)sscanf(fixture->answer, "HTTP/1.1 %d", &status);
	return status;
}

int serve_ask(struct serve_fixture *fixture, const char *request)
{
	return serve_ask_bytes(fixture, request, strlen(request));
}
