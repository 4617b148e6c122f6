/* SPDX-License-Identifier: Apache-2.0 */
/* kit_test.c - the tests' own upstream, where a fault of its own would be taken for the engine's. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mbedtls/x509_crt.h>

#include "tests/kit/origin.h"

static int dial(const struct kit_origin *origin)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(kit_origin_port(origin)),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static void must_echo(int fd)
{
	char back[5];

	assert_int_equal(send(fd, "echo\n", 5, MSG_NOSIGNAL), 5);
	assert_int_equal(recv(fd, back, 5, MSG_WAITALL), 5);
}

/* The other end of a connection, which is this process' too. */
static int other_end(int fd)
{
	struct sockaddr_in own, peer;
	socklen_t size = sizeof own;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
	for (int other = 3; other < 1024; other++) {
		size = sizeof peer;
		if (other != fd && getpeername(other, (struct sockaddr *)&peer, &size) == 0 &&
		    peer.sin_family == AF_INET && peer.sin_port == own.sin_port)
			return other;
	}
	return -1;
}

/* A child between clone and exec has a copy of every descriptor: a connection that was closed
 * here lives on there, and in the epoll set, where its number or memory is another's. */
static void an_origin_forgets_what_it_closed(void **state)
{
	struct kit_origin *origin = kit_origin_open(&(struct kit_origin_options){ 0 });
	int fd, copy, next;

	(void)state;
	assert_non_null(origin);
	fd = dial(origin);
	must_echo(fd);
	copy = dup(other_end(fd)); /* as the child has */
	assert_true(copy >= 0);
	kit_origin_hang_up(origin, false);
	assert_int_equal(kit_origin_counts(origin).ended, 1);
	assert_int_equal(send(fd, "hello\n", 6, MSG_NOSIGNAL), 6); /* an event, if it is watched */
	next = dial(origin);
	for (int i = 0; i < 100; i++)
		must_echo(next);
	assert_int_equal(kit_origin_counts(origin).ended, 1);
	assert_int_equal(kit_origin_counts(origin).open, 1);
	close(copy);
	close(fd);
	close(next);
	kit_origin_close(origin);
}

/* DER: an INTEGER is as short as it can be (X.690, 8.3.2). OpenSSL refuses others. */
static void serials_are_short(void **state)
{
	const struct kit_cert_spec root = { .subject = "root", .authority = true };
	struct kit_cert cert;
	mbedtls_x509_crt read;

	(void)state;
	for (int i = 0; i < 300; i++) {
		assert_true(kit_cert_make(&root, NULL, &cert));
		mbedtls_x509_crt_init(&read);
		assert_int_equal(mbedtls_x509_crt_parse(&read, (const unsigned char *)cert.pem,
							strlen(cert.pem) + 1), 0);
		assert_true(read.serial.p[0] != 0 || read.serial.p[1] >= 0x80);
		mbedtls_x509_crt_free(&read);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(an_origin_forgets_what_it_closed),
	cmocka_unit_test(serials_are_short),
};

CMOCKA_TESTS(kit, tests);
