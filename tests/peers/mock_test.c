/* SPDX-License-Identifier: Apache-2.0 */
/* mock_test.c - the server of the kit that misbehaves: every word of mock.h says what it means.
 * The client is a bare socket here, with TLS openssl's own. */
#include "tests/peers/peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kit/mock.h"

static int client(const struct kit_mock *mock)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(kit_mock_port(mock)),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval patience = { .tv_sec = 5 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	CHECK(connect(fd, (struct sockaddr *)&in, sizeof in) == 0);
	return fd;
}

/* Ask; all that comes until the end, and how it ended: 0 = FIN, else errno. */
static int ask(const struct kit_mock *mock, const char *request, char *text, size_t size)
{
	int fd = client(mock), ended;
	size_t had = 0;
	ssize_t got;

	CHECK(send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request));
	while (had < size - 1 && (got = recv(fd, text + had, size - 1 - had, 0)) > 0)
		had += (size_t)got;
	ended = had < size - 1 && got < 0 ? errno : 0;
	text[had] = '\0';
	close(fd);
	return ended;
}

static struct kit_mock *answering(struct kit_mock_answer *answer)
{
	return kit_mock_open(
		&(struct kit_mock_options){ .play = kit_mock_play_answer, .user = answer });
}

static void test_answers(void)
{
	static const struct {
		enum kit_mock_end end;
		size_t split, piece;
		int ended;
	} rows[] = { { KIT_MOCK_POLITE, 0, 0, 0 },     { KIT_MOCK_POLITE, 3, 0, 0 },
		     { KIT_MOCK_POLITE, 0, 1, 0 },     { KIT_MOCK_CUT, 0, 0, 0 },
		     { KIT_MOCK_HALF_CLOSE, 0, 2, 0 }, { KIT_MOCK_RESET, 0, 0, ECONNRESET } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct kit_mock_answer answer = { .until = "\n",
						  .data = "answer\n",
						  .size = 7,
						  .split = rows[i].split,
						  .piece = rows[i].piece,
						  .pause_us = 200,
						  .times = 2,
						  .end = rows[i].end };
		struct kit_mock *mock = answering(&answer);
		char text[64];

		MUST(mock != NULL);
		CHECK(ask(mock, "a\nb\n", text, sizeof text) == rows[i].ended);
		CHECK(rows[i].ended != 0 || strcmp(text, "answer\nanswer\n") == 0);
		CHECK(WITHIN_MS(1000, kit_mock_counts(mock).open == 0));
		CHECK(kit_mock_counts(mock).accepted == 1 &&
		      kit_mock_counts(mock).bytes_in == 4);
		CHECK(kit_mock_counts(mock).bytes_out == 14);
		kit_mock_close(mock);
	}
}

/* Each connection behaves differently; requests counted by id. */
static void count_requests(struct kit_mock_conn *conn, void *user)
{
	char text[32];

	(void)user;
	while (kit_mock_read_until(conn, "\n", text, sizeof text, 1000)) {
		kit_mock_execute(conn, (uint64_t)(text[0] - '0'));
		if (kit_mock_number(conn) == 0)
			return;
		kit_mock_say(conn, text);
	}
}

static void test_counts(void)
{
	struct kit_mock *mock =
		kit_mock_open(&(struct kit_mock_options){ .play = count_requests });
	char text[32];

	MUST(mock != NULL);
	ask(mock, "1\n", text, sizeof text);
	CHECK(text[0] == '\0');
	for (int i = 0; i < 2; i++) {
		int fd = client(mock);

		CHECK(send(fd, "2\n1\n", 4, 0) == 4);
		CHECK(recv(fd, text, 4, MSG_WAITALL) == 4);
		close(fd);
	}
	CHECK(kit_mock_executions(mock, 1) == 3 && kit_mock_executions(mock, 2) == 2);
	CHECK(kit_mock_executions(mock, 3) == 0 && kit_mock_executions_max(mock) == 3);
	CHECK(kit_mock_counts(mock).executions == 5);
	kit_mock_close(mock);
}

/* A server that does not read lets the window fill; close ends every connection's thread, also
 * waiting ones. */
static void never_read(struct kit_mock_conn *conn, void *user)
{
	(void)user;
	kit_mock_wait(conn, 60000000);
}

static void test_zero_window(void)
{
	struct kit_mock *mock = kit_mock_open(
		&(struct kit_mock_options){ .play = never_read, .receive_bytes = 4096 });
	static const char zeros[65536];
	size_t sent = 0;
	ssize_t some;
	int fd;

	MUST(mock != NULL);
	fd = client(mock);
	for (int i = 0; i < 100 && sent < 100000000; i++) {
		while ((some = send(fd, zeros, sizeof zeros, MSG_DONTWAIT)) > 0)
			sent += (size_t)some;
		usleep(1000);
	}
	CHECK(sent < 20000000);
	kit_mock_close(mock);
	close(fd);
}

/* As SMTP does: openssl s_client speaks it. */
static void start_tls(struct kit_mock_conn *conn, void *user)
{
	char text[64];

	if (!kit_mock_say(conn, "220 hello\r\n") ||
	    !kit_mock_read_until(conn, "\r\n", text, sizeof text, 5000) ||
	    !kit_mock_say(conn, "250-hello\r\n250 STARTTLS\r\n") ||
	    !kit_mock_read_until(conn, "STARTTLS\r\n", text, sizeof text, 5000) ||
	    !kit_mock_say(conn, "220 go ahead\r\n") || !kit_mock_start_tls(conn))
		return;
	*(bool *)user = kit_mock_read_until(conn, "nonce\n", text, sizeof text, 5000) &&
			kit_mock_alpn(conn) != NULL && strcmp(kit_mock_alpn(conn), "b") == 0 &&
			kit_mock_send_slowly(conn, "secret\n", 7, 1, 100);
}

/* openssl s_client as the other side: it must like what it sees. */
static void test_tls(void)
{
	const struct kit_cert_spec spec = { .subject = "mock", .dns = "localhost" };
	static struct kit_cert cert;
	char command[256], text[4096] = "";
	const char *const alpn[] = { "a", "b", NULL };
	struct kit_mock *mock;
	bool played = false;
	FILE *openssl;

	if (access("/usr/bin/openssl", X_OK) != 0) {
		tap_skip("openssl is not installed");
		return;
	}
	MUST(kit_cert_make(&spec, NULL, &cert));
	mock = kit_mock_open(&(struct kit_mock_options){ .play = start_tls,
							 .user = &played,
							 .cert = &cert,
							 .plain_first = true,
							 .alpn = alpn });
	MUST(mock != NULL);
	snprintf(command, sizeof command,
		 "(sleep 0.3; echo nonce; sleep 0.3) | timeout 10 openssl s_client -quiet "
		 "-alpn b "
		 "-starttls smtp -connect %s 2>&1",
		 kit_mock_address(mock));
	openssl = popen(command, "re");
	if (openssl != NULL) {
		text[fread(text, 1, sizeof text - 1, openssl)] = '\0';
		pclose(openssl);
	}
	CHECK(kit_mock_counts(mock).handshakes == 1);
	kit_mock_close(mock);
	if (!CHECK(played && strstr(text, "secret") != NULL))
		tap_note("%s", text);
}

static const struct tap_test mock_tests[] = {
	{ "answers whole, split, byte by byte; ends by FIN, half close, RST", test_answers },
	{ "counts executions by request, plays by connection", test_counts },
	{ "a server that does not read; close ends every play", test_zero_window },
	{ "STARTTLS, ALPN", test_tls },
};
TAP_TESTS(mock, mock_tests);
