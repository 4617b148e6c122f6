/* SPDX-License-Identifier: Apache-2.0 */
/* http_kolk.c - the requests as a gateway on Kolk makes them: kolk_http_start on a loop. */
#include <kolk/http.h>
#include <stdlib.h>

#include "bench/proto_kolk.h"

struct drive {
	struct side side;
	struct kolk_http *http;
	struct kolk_http_request request;
	bool closed;
};

struct caller {
	struct drive *drive;
	uint64_t sent_ns;
	uint64_t got;
	uint32_t status;
};

static void on_head(void *user, struct kolk_http_exchange *exchange,
		    const struct kolk_http_head *head)
{
	struct caller *caller = user;

	(void)exchange;
	caller->status = head->status;
}

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	struct caller *caller = user;

	(void)exchange;
	(void)data;
	caller->got += size;
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t trailer_count);

static const struct kolk_http_handler handler = {
	.size = sizeof handler, .head = on_head, .body = on_body, .end = on_end
};

static void ask(struct caller *caller, uint64_t now_ns)
{
	struct drive *drive = caller->drive;

	caller->sent_ns = now_ns;
	caller->got = 0;
	side_check(kolk_http_start(drive->http, drive->side.key, &drive->request, &handler, caller,
				   NULL),
		   "request");
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct caller *caller = user;
	struct load *load = caller->drive->side.load;
	uint64_t now_ns;

	(void)exchange;
	(void)trailers;
	(void)trailer_count;
	if (load->over)
		return;
	side_check(err, "answer");
	if (caller->status != 200 || caller->got != load->bytes)
		die("kolk: status %u, %llu bytes", caller->status, (unsigned long long)caller->got);
	now_ns = load_done(load, caller->sent_ns);
	if (now_ns != 0)
		ask(caller, now_ns);
}

static void on_closed(void *user)
{
	struct drive *drive = user;

	drive->closed = true;
}

static void drive_close(struct drive *drive)
{
	side_check(kolk_http_close(drive->http, on_closed, drive), "close");
	while (!drive->closed)
		side_check(kolk_loop_step(drive->side.loop, KOLK_MS_NS), "step");
	side_close(&drive->side);
}

void http_kolk(struct load *load)
{
	static const char *const h2[] = { "h2", "http/1.1", NULL };
	static const char *const h1[] = { "http/1.1", NULL };
	struct kolk_http_driver_options options = KOLK_INIT(kolk_http_driver_options);
	struct kolk_http_options client = KOLK_INIT(kolk_http_options);
	struct caller *callers = calloc(load->concurrency, sizeof *callers);
	struct drive drive = { .request = KOLK_INIT(kolk_http_request) };
	char target[32];

	options.protocols = load->site->http2 ? KOLK_HTTP_2_ONLY : KOLK_HTTP_1_ONLY;
	options.requests_max = load->fresh ? 1 : 0;
	snprintf(target, sizeof target, "/bytes/%u", load->bytes);
	drive.request.target = target;
	side_open(&drive.side, load, kolk_driver_http(), &options, load->site->http2 ? h2 : h1);
	side_check(kolk_http_open(drive.side.loop, &client, &drive.http), "client");
	load_begin(load);
	for (uint32_t i = 0; i < load->concurrency; i++) {
		callers[i].drive = &drive;
		ask(&callers[i], load->began_ns);
	}
	side_run(&drive.side);
	drive_close(&drive);
	free(callers);
}
