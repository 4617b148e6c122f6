/* SPDX-License-Identifier: Apache-2.0 */
/* kit_test.c - the servers of the kit: each starts, answers, restarts, stops, and leaves
 * nothing. */
#include "tests/peers/peers.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/kit/peer.h"

/* How many processes have a text in their command line. */
static int processes_with(const char *text)
{
	char path[300], line[4096];
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	int found = 0;

	while (proc != NULL && (entry = readdir(proc)) != NULL) {
		FILE *file;
		size_t got;

		snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
		if (atoi(entry->d_name) == 0 || (file = fopen(path, "re")) == NULL)
			continue;
		got = fread(line, 1, sizeof line - 1, file);
		fclose(file);
		for (size_t i = 0; i < got; i++)
			line[i] = line[i] == '\0' ? ' ' : line[i];
		line[got] = '\0';
		found += strstr(line, text) != NULL;
	}
	if (proc != NULL)
		closedir(proc);
	return found;
}

static int open_descriptors(void)
{
	DIR *fds = opendir("/proc/self/fd");
	int count = 0;

	while (fds != NULL && readdir(fds) != NULL)
		count++;
	if (fds != NULL)
		closedir(fds);
	return count;
}

static void close_leaves_nothing(struct kit_peer *peer)
{
	char directory[KIT_PEER_DIRECTORY];

	memcpy(directory, peer->directory, sizeof directory);
	kit_peer_close(peer);
	CHECK(access(directory, F_OK) != 0);
	CHECK(WITHIN_MS(2000, processes_with(directory) == 0));
}

/* GET over a Unix socket, as the kit asks when it wants to know whether a server is ready. */
static bool get(struct kit_peer *peer, const char *target, const char *answer)
{
	char request[256];

	snprintf(request, sizeof request,
		 "GET %s HTTP/1.1\r\nHost: a\r\nX-Nonce: h41\r\nConnection: close\r\n\r\n",
		 target);
	return peer_answers_on(peer->port, request, answer);
}

static void test_nginx(void)
{
	struct kit_peer *peer = kit_nginx_start(&(struct kit_nginx_options){
		.tls = true, .http2 = true, .keepalive_requests = 3, .workers = 2 });
	uint32_t pid;

	if (peer == NULL)
		return;
	CHECK(get(peer, "/small", "\r\n\r\nsmall\n"));
	CHECK(get(peer, "/echo?n=q17", "\r\n\r\nq17"));
	CHECK(get(peer, "/nonce", "\r\n\r\nh41"));
	CHECK(get(peer, "/chunked?n=q17", "\r\n\r\n3\r\nq17\r\n0\r\n\r\n"));
	CHECK(get(peer, "/trailer?n=q17", "\r\n\r\n3\r\nq17\r\n0\r\nX-Nonce: q17\r\n\r\n"));
	CHECK(get(peer, "/bytes/1", "\r\n\r\nx"));
	CHECK(get(peer, "/chunked-bytes/1", "\r\n\r\n1\r\nx\r\n0\r\n\r\n"));
	CHECK(get(peer, "/slow/1", "\r\n\r\nx"));
	CHECK(get(peer, "/delay?n=q17", "\r\n\r\nq17"));
	CHECK(get(peer, "/old?n=q17", "\r\n\r\nq17"));
	CHECK(get(peer, "/status/503", "HTTP/1.1 503 "));
	CHECK(get(peer, "/generation", "\r\n\r\n1"));
	CHECK(peer_answers_on(peer->port,
			      "POST /sink HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
			      "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
			      "\r\n\r\n3"));
	CHECK(peer_answers_on(peer->port,
			      "PUT /put/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
			      "Content-Length: 3\r\n\r\nabc",
			      "HTTP/1.1 201"));
	CHECK(get(peer, "/put/a", "\r\n\r\nabc"));
	CHECK(peer_answers_on(peer->tls_port, NULL, NULL));
	CHECK(peer_answers_on(peer->h2c_port, NULL, NULL));
	pid = (uint32_t)peer->pid;
	CHECK(kit_nginx_reload(peer, NULL));
	CHECK(WITHIN_MS(5000, get(peer, "/generation", "\r\n\r\n2"))); /* old workers take leave */
	CHECK((uint32_t)peer->pid == pid);
	CHECK(kit_peer_restart(peer, SIGKILL));
	CHECK(get(peer, "/small", "\r\n\r\nsmall\n"));
	close_leaves_nothing(peer);
}

static void test_redis(void)
{
	struct kit_peer *peer = kit_redis_start(&(struct kit_redis_options){
		.tls = true,
		.password = "canary",
		.args = (const char *[]){ "--maxmemory", "10mb", NULL } });

	if (peer == NULL)
		return;
	CHECK(peer_answers_on(peer->port, "PING\r\n", "-NOAUTH"));
	CHECK(peer_answers_on(peer->port, "AUTH canary\r\n", "+OK"));
	CHECK(kit_peer_restart(peer, SIGTERM));
	CHECK(kit_peer_restart(peer, SIGKILL));
	CHECK(peer_answers_on(peer->port, "AUTH canary\r\n", "+OK"));
	CHECK(peer_answers_on(peer->tls_port, NULL, NULL));
	close_leaves_nothing(peer);
}

static void test_postgres(void)
{
	struct kit_peer *peer = kit_postgres_start(&(struct kit_postgres_options){
		.tls = true,
		.sql = "create table t (a int); insert into t values (7), (8)",
		.settings = (const char *[]){ "work_mem=1MB", NULL } });
	char out[64];

	if (peer == NULL)
		return;
	CHECK(kit_postgres_sql(peer, "select a from t order by a", out, sizeof out));
	CHECK(strcmp(out, "7\n8") == 0);
	CHECK(kit_postgres_sql(peer, "show ssl; show work_mem", out, sizeof out));
	CHECK(strcmp(out, "on\n1MB") == 0);
	CHECK(kit_peer_restart(peer, SIGINT));
	CHECK(kit_peer_restart(peer, SIGQUIT));
	CHECK(kit_peer_restart(peer, SIGKILL));
	CHECK(kit_postgres_sql(peer, "select 1", out, sizeof out) && strcmp(out, "1") == 0);
	close_leaves_nothing(peer);
}

static void test_nghttpd(void)
{
	for (int tls = 0; tls < 2; tls++) {
		struct kit_peer *peer = kit_nghttpd_start(&(struct kit_nghttpd_options){
			.tls = tls, .args = (const char *[]){ "-m", "10", NULL } });

		if (peer == NULL)
			return;
		CHECK(peer_answers_on(tls ? peer->tls_port : peer->h2c_port, NULL, NULL));
		CHECK(kit_peer_restart(peer, SIGKILL));
		close_leaves_nothing(peer);
	}
}

static void test_freeze(void)
{
	struct kit_peer *peer = kit_redis_start(&(struct kit_redis_options){ .tls = false });

	if (peer == NULL)
		return;
	kit_peer_freeze(peer);
	CHECK(!peer_answers_on(peer->port, "PING\r\n", "+PONG"));
	kit_peer_thaw(peer);
	CHECK(peer_answers_on(peer->port, "PING\r\n", "+PONG"));
	close_leaves_nothing(peer);
}

/* A test program that dies leaves neither servers nor files. */
static void test_sudden_death(void)
{
	char directory[KIT_PEER_DIRECTORY] = "";
	int ends[2];
	pid_t child;

	MUST(pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		struct kit_peer *peer =
			kit_nginx_start(&(struct kit_nginx_options){ .workers = 2 });

		if (peer == NULL || write(ends[1], peer->directory, sizeof peer->directory) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	close(ends[1]);
	if (read(ends[0], directory, sizeof directory) > 0) {
		CHECK(WITHIN_MS(5000, access(directory, F_OK) != 0));
		CHECK(WITHIN_MS(5000, processes_with(directory) == 0));
	}
	waitpid(child, NULL, 0);
	close(ends[0]);
	if (directory[0] == '\0')
		tap_skip("nginx is not installed");
}

static void test_descriptors(void)
{
	int before = open_descriptors();

	for (int i = 0; i < 3; i++)
		kit_peer_close(kit_redis_start(&(struct kit_redis_options){ .tls = true }));
	CHECK(WITHIN_MS(2000, open_descriptors() == before));
}

static const struct tap_test kit_tests[] = {
	{ "nginx starts, answers, reloads, restarts, leaves nothing", test_nginx },
	{ "Redis starts, answers, restarts, leaves nothing", test_redis },
	{ "PostgreSQL starts, answers, restarts in three ways, leaves nothing", test_postgres },
	{ "nghttpd starts, answers, restarts, leaves nothing", test_nghttpd },
	{ "a server that is frozen answers when it thaws", test_freeze },
	{ "a test that dies leaves neither servers nor files", test_sudden_death },
	{ "no descriptor is left", test_descriptors },
};
TAP_TESTS(kit, kit_tests);
