/* SPDX-License-Identifier: Apache-2.0 */
/* h1_answer.c - writes answers of HTTP/1.1 (RFC 9112, sections 4, 6 and 7). Fields were checked
 * before (http_server.c): nothing here can end a line that it should not. */
#include <string.h>
#include <time.h>

#include "transport/drivers/h1_request.h"
#include "transport/drivers/h1_text.h"

/* ---- status line */

const char *h1_reason(uint32_t status)
{
	static const struct {
		uint32_t status;
		const char *text;
	} reasons[] = {
		{ 200, "OK" }, { 404, "Not Found" }, { 304, "Not Modified" },
		{ 100, "Continue" }, { 101, "Switching Protocols" }, { 102, "Processing" },
		{ 103, "Early Hints" }, { 201, "Created" }, { 202, "Accepted" },
		{ 204, "No Content" }, { 205, "Reset Content" }, { 206, "Partial Content" },
		{ 301, "Moved Permanently" }, { 302, "Found" }, { 303, "See Other" },
		{ 307, "Temporary Redirect" }, { 308, "Permanent Redirect" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" },
		{ 405, "Method Not Allowed" }, { 406, "Not Acceptable" },
		{ 408, "Request Timeout" }, { 409, "Conflict" }, { 410, "Gone" },
		{ 411, "Length Required" }, { 412, "Precondition Failed" },
		{ 413, "Content Too Large" }, { 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" }, { 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" }, { 421, "Misdirected Request" },
		{ 422, "Unprocessable Content" }, { 426, "Upgrade Required" },
		{ 428, "Precondition Required" }, { 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" },
		{ 501, "Not Implemented" }, { 502, "Bad Gateway" },
		{ 503, "Service Unavailable" }, { 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "";
}

static void add_status(struct h1_text *text, uint32_t status)
{
	static const char most[] = "HTTP/1.1 200 OK\r\n";

	if (status == 200) {
		h1_add_bytes(text, most, sizeof most - 1);
		return;
	}
	h1_add_bytes(text, "HTTP/1.1 ", 9);
	h1_add_number(text, status);
	h1_add_bytes(text, " ", 1);
	h1_add(text, h1_reason(status));
	h1_add_bytes(text, "\r\n", 2);
}

/* ---- framing */

/* What 204, 205 and 304, and answers to HEAD have in common: no byte of a body (RFC 9110, section
 * 6.4.1; of 205, section 15.3.6). */
bool h1_answer_is_empty(const struct h1_answer_head *head)
{
	uint32_t status = head->answer->status;

	return head->to_head || status == 204 || status == 205 || status == 304;
}

static void frame_empty(struct h1_answer_head *head)
{
	const struct kolk_http_answer *answer = head->answer;
	uint64_t size = answer->body_size > 0 ? answer->body_size : answer->pull_size;

	head->body = H1_ANSWER_NONE;
	if (answer->status == 205) {
		head->body = H1_ANSWER_LENGTH;
		head->length = 0;
	} else if (answer->status != 204 && size > 0 && size != KOLK_HTTP_CHUNKED) {
		head->body = H1_ANSWER_LENGTH;
		head->length = size;
	}
}

void h1_answer_frame(struct h1_answer_head *head)
{
	const struct kolk_http_answer *answer = head->answer;

	if (answer->status == 101) {
		head->body = H1_ANSWER_CLOSE;
	} else if (h1_answer_is_empty(head)) {
		frame_empty(head);
	} else if (answer->pull == NULL || answer->pull_size != KOLK_HTTP_CHUNKED) {
		head->body = H1_ANSWER_LENGTH;
		head->length = answer->pull == NULL ? answer->body_size : answer->pull_size;
	} else {
		head->body = head->version == 10 ? H1_ANSWER_CLOSE : H1_ANSWER_CHUNKED;
	}
	if (head->body == H1_ANSWER_CLOSE)
		head->keep = false;
}

static void add_framing(struct h1_text *text, const struct h1_answer_head *head)
{
	if (head->body == H1_ANSWER_LENGTH) {
		h1_add_bytes(text, "content-length: ", 16);
		h1_add_number(text, head->length);
		h1_add_bytes(text, "\r\n", 2);
	} else if (head->body == H1_ANSWER_CHUNKED) {
		h1_add(text, "transfer-encoding: chunked\r\n");
	}
	if (head->answer->status == 101) {
		h1_add(text, "connection: upgrade\r\n");
		h1_add_field(text, "upgrade", head->answer->upgrade);
	} else if (!head->keep) {
		h1_add(text, "connection: close\r\n");
	} else if (head->version == 10) {
		h1_add(text, "connection: keep-alive\r\n");
	}
}

/* ---- heads */

bool h1_has_date(const struct kolk_http_answer *answer)
{
	for (uint32_t i = 0; i < answer->field_count; i++) {
		const char *name = answer->fields[i].name;

		if ((name[0] | 0x20) == 'd' && (name[1] | 0x20) == 'a' &&
		    (name[2] | 0x20) == 't' && (name[3] | 0x20) == 'e' && name[4] == '\0')
			return true;
	}
	return false;
}

static void add_fields(struct h1_text *text, const struct kolk_http_answer *answer)
{
	for (uint32_t i = 0; i < answer->field_count; i++)
		h1_add_field(text, answer->fields[i].name, answer->fields[i].value);
}

size_t h1_write_answer(const struct h1_answer_head *head, char *buffer, size_t capacity)
{
	struct h1_text text = { .buffer = buffer, .capacity = capacity };

	add_status(&text, head->answer->status);
	if (head->date != NULL && !h1_has_date(head->answer))
		h1_add_field(&text, "date", head->date);
	add_fields(&text, head->answer);
	add_framing(&text, head);
	h1_add_bytes(&text, "\r\n", 2);
	return text.size;
}

size_t h1_write_informational(const struct kolk_http_answer *answer, char *buffer, size_t capacity)
{
	struct h1_text text = { .buffer = buffer, .capacity = capacity };

	add_status(&text, answer->status);
	add_fields(&text, answer);
	h1_add_bytes(&text, "\r\n", 2);
	return text.size;
}

/* ---- the date */

static void put_number(char *at, int number, int digits)
{
	while (digits-- > 0) {
		at[digits] = (char)('0' + number % 10);
		number /= 10;
	}
}

/* RFC 9110, section 5.6.7. */
void h1_write_date(uint64_t seconds, char *text)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t time = (time_t)seconds;
	struct tm parts = { 0 };

	memcpy(text, "Thu, 01 Jan 1970 00:00:00 GMT", H1_DATE_SIZE);
	if (gmtime_r(&time, &parts) == NULL || parts.tm_year > 9999 - 1900)
		return;
	memcpy(text, days + 3 * parts.tm_wday, 3);
	put_number(text + 5, parts.tm_mday, 2);
	memcpy(text + 8, months + 3 * parts.tm_mon, 3);
	put_number(text + 12, parts.tm_year + 1900, 4);
	put_number(text + 17, parts.tm_hour, 2);
	put_number(text + 20, parts.tm_min, 2);
	put_number(text + 23, parts.tm_sec, 2);
}
