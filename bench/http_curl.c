/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_curl.c - libcurl as its users run it at scale: one multi handle on epoll
 * (curl_multi_socket_action), its connection cache, easy handles that are used again, HTTP/2
 * streams on shared connections.
 */
#include <curl/curl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/proto.h"

/* 7.88 loses a transfer now and then when its HTTP/2 connection cannot be written to at once. */
enum { EVENTS = 64, URL_BYTES = 96, FAILED_MAX = 100 };

struct drive {
	struct load *load;
	CURLM *multi;
	int epoll;
	uint64_t due_ns; /* curl's timer; KOLK_FOREVER = none */
	struct request *requests;
	uint32_t failed; /* transfers that libcurl lost; asked again, not counted */
	bool started;
};

struct request {
	struct drive *drive;
	CURL *easy;
	uint64_t sent_ns;
	size_t got;
};

static void check(CURLMcode code)
{
	if (code != CURLM_OK)
		die("libcurl: %s", curl_multi_strerror(code));
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *watched)
{
	struct drive *drive = user;
	struct epoll_event event = { .data.fd = fd };

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(drive->epoll, EPOLL_CTL_DEL, fd, NULL);
		curl_multi_assign(drive->multi, fd, NULL);
		return 0;
	}
	event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) |
		       (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	epoll_ctl(drive->epoll, watched != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
	curl_multi_assign(drive->multi, fd, drive);
	return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *user)
{
	struct drive *drive = user;

	(void)multi;
	drive->due_ns = timeout_ms < 0 ? KOLK_FOREVER :
					 clock_now() + (uint64_t)timeout_ms * KOLK_MS_NS;
	return 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct request *request = user;

	(void)data;
	request->got += size * count;
	return size * count;
}

/* ---- requests */

static void request_open(struct request *request, struct drive *drive, const char *url)
{
	const struct site *site = drive->load->site;
	CURL *easy = curl_easy_init();

	*request = (struct request){ .drive = drive, .easy = easy };
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
			 site->http2 ? CURL_HTTP_VERSION_2_0 : CURL_HTTP_VERSION_1_1);
	if (site->ca_file != NULL)
		curl_easy_setopt(easy, CURLOPT_CAINFO, site->ca_file);
	if (drive->load->fresh && site->http2 && site->ca_file == NULL)
		curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
	if (drive->load->fresh) {
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	}
}

static void ask(struct request *request, uint64_t now_ns)
{
	request->sent_ns = now_ns;
	request->got = 0;
	check(curl_multi_add_handle(request->drive->multi, request->easy));
}

/* HTTP/2 in plain text: the first request opens the connection by prior knowledge, the others must
 * not ask for that, because libcurl 7.88 begins HTTP/2 once more then (curl issue 10634). */
static bool needs_herald(const struct load *load)
{
	return load->site->http2 && load->site->ca_file == NULL && !load->fresh;
}

static void start(struct drive *drive)
{
	struct load *load = drive->load;
	struct request *requests = drive->requests;

	if (needs_herald(load))
		curl_easy_setopt(requests[0].easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2_0);
	for (uint32_t i = 0; i < load->concurrency; i++)
		ask(&requests[i], load->began_ns);
	drive->started = true;
}

static void answered(struct request *request, CURLcode code)
{
	struct drive *drive = request->drive;
	long status = 0, opened = 0;
	uint64_t now_ns;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &opened);
	drive->load->connections += (uint64_t)opened;
	check(curl_multi_remove_handle(drive->multi, request->easy));
	if (code != CURLE_OK || status != 200 || request->got != drive->load->bytes) {
		if (!drive->started || ++drive->failed > FAILED_MAX)
			die("libcurl: %s, status %ld, %zu bytes", curl_easy_strerror(code), status,
			    request->got);
		ask(request, clock_now());
		return;
	}
	if (!drive->started) {
		start(drive);
		return;
	}
	now_ns = load_done(drive->load, request->sent_ns);
	if (now_ns != 0)
		ask(request, now_ns);
}

static void reap(struct drive *drive)
{
	const CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(drive->multi, &left)) != NULL) {
		struct request *request;

		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		answered(request, message->data.result);
	}
}

/* ---- the loop */

static void turn(struct drive *drive)
{
	struct epoll_event events[EVENTS];
	uint64_t now_ns = clock_now();
	int wait_ms = drive->due_ns == KOLK_FOREVER ? 1000 :
		      drive->due_ns <= now_ns	    ? 0 :
			      (int)((drive->due_ns - now_ns) / KOLK_MS_NS) + 1;
	int running, count = epoll_wait(drive->epoll, events, EVENTS, wait_ms);

	for (int i = 0; i < count; i++) {
		int what = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
			   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			   (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

		check(curl_multi_socket_action(drive->multi, events[i].data.fd, what, &running));
	}
	if (drive->due_ns != KOLK_FOREVER && drive->due_ns <= clock_now()) {
		drive->due_ns = KOLK_FOREVER;
		check(curl_multi_socket_action(drive->multi, CURL_SOCKET_TIMEOUT, 0, &running));
	}
	reap(drive);
}

static void drive_open(struct drive *drive, struct load *load)
{
	*drive = (struct drive){ .load = load, .multi = curl_multi_init(),
				 .epoll = epoll_create1(EPOLL_CLOEXEC), .due_ns = KOLK_FOREVER };
	if (drive->multi == NULL || drive->epoll < 0)
		die("libcurl cannot begin");
	curl_multi_setopt(drive->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(drive->multi, CURLMOPT_SOCKETDATA, drive);
	curl_multi_setopt(drive->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(drive->multi, CURLMOPT_TIMERDATA, drive);
	curl_multi_setopt(drive->multi, CURLMOPT_MAXCONNECTS, (long)load->concurrency);
	curl_multi_setopt(drive->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
}

void http_curl(struct load *load)
{
	struct request *requests = calloc(load->concurrency, sizeof *requests);
	struct drive drive;
	char url[URL_BYTES];

	snprintf(url, sizeof url, "%s://127.0.0.1:%u/bytes/%u",
		 load->site->ca_file ? "https" : "http", load->site->port, load->bytes);
	drive_open(&drive, load);
	drive.requests = requests;
	for (uint32_t i = 0; i < load->concurrency; i++)
		request_open(&requests[i], &drive, url);
	load_begin(load);
	if (needs_herald(load)) {
		curl_easy_setopt(requests[0].easy, CURLOPT_HTTP_VERSION,
				 CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
		ask(&requests[0], load->began_ns);
	} else {
		start(&drive);
	}
	while (!load->over)
		turn(&drive);
	for (uint32_t i = 0; i < load->concurrency; i++) {
		curl_multi_remove_handle(drive.multi, requests[i].easy);
		curl_easy_cleanup(requests[i].easy);
	}
	curl_multi_cleanup(drive.multi);
	close(drive.epoll);
	free(requests);
}
