/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - see client.h. */
#include "tools/ctl/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/ctl/text.h"

#define SOCKET_DEFAULT "/run/kolk/admin.sock"

enum { ANSWER_MAX = 64 << 20, TOKEN_MAX = 4096, TIMEOUT_MS = 60000, CONNECT_MS = 5000,
       COLLECT_MIN = 1 << 14 };

struct client {
	CURL *curl;
	struct curl_slist *headers;
	bool has_token;
	long timeout_ms;
	char socket[512]; /* "" = TCP */
	char base[512];	  /* scheme and authority, without a slash at the end */
};

static void __attribute__((format(printf, 3, 4)))
say(char *problem, size_t capacity, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(problem, capacity, format, list);
	va_end(list);
}

const char *client_where(const struct client *client)
{
	return client->socket[0] != 0 ? client->socket : client->base;
}

/* ---- the token */

static void token_forget(char *token)
{
	explicit_bzero(token, TOKEN_MAX);
}

/* One line of a file that others cannot read. */
static bool token_read(const char *path, char token[TOKEN_MAX], char *problem, size_t capacity)
{
	FILE *file = fopen(path, "r");
	struct stat stat;
	size_t size;

	if (file == NULL) {
		say(problem, capacity, "token file %s: %s", path, strerror(errno));
		return false;
	}
	if (fstat(fileno(file), &stat) == 0 && S_ISREG(stat.st_mode) &&
	    (stat.st_mode & 07) != 0) {
		fclose(file);
		say(problem, capacity, "token file %s: everybody can use it; chmod 600 it",
		    path);
		return false;
	}
	setvbuf(file, NULL, _IONBF, 0); /* no copy of the token stays behind */
	size = fread(token, 1, TOKEN_MAX - 1, file);
	fclose(file);
	token[size] = 0;
	token[strcspn(token, "\r\n")] = 0;
	if (token[0] == 0)
		say(problem, capacity, "token file %s: there is no token in it", path);
	return token[0] != 0;
}

static bool token_given(const char *given, char token[TOKEN_MAX], char *problem, size_t capacity)
{
	if (strlen(given) >= TOKEN_MAX) {
		say(problem, capacity, "KOLK_ADMIN_TOKEN is longer than any token");
		return false;
	}
	strcpy(token, given);
	return true;
}

/* What is not plain text would end the header and begin another. */
static bool token_is_plain(const char *token)
{
	for (; *token != 0; token++)
		if (*token <= ' ' || *token > '~')
			return false;
	return true;
}

static bool token_header(struct client *client, const char *token, char *problem,
			 size_t capacity)
{
	char header[TOKEN_MAX + 32];
	struct curl_slist *headers;

	if (!token_is_plain(token)) {
		say(problem, capacity, "the token has characters that no token has");
		return false;
	}
	snprintf(header, sizeof header, "Authorization: Bearer %s", token);
	headers = curl_slist_append(client->headers, header);
	explicit_bzero(header, sizeof header);
	if (headers == NULL)
		return false;
	client->headers = headers;
	client->has_token = true;
	return true;
}

static bool token_take(struct client *client, const char *path, char *problem, size_t capacity)
{
	const char *given = getenv("KOLK_ADMIN_TOKEN");
	char token[TOKEN_MAX] = "";
	bool good = true;

	if (path != NULL)
		good = token_read(path, token, problem, capacity);
	else if (given != NULL)
		good = token_given(given, token, problem, capacity);
	if (good && token[0] != 0)
		good = token_header(client, token, problem, capacity);
	token_forget(token);
	return good;
}

/* ---- where */

static bool at_socket(struct client *client, const char *path, char *problem, size_t capacity)
{
	if (strlen(path) >= 108) { /* sun_path */
		say(problem, capacity, "a socket's path has at most 107 bytes: %s", path);
		return false;
	}
	snprintf(client->socket, sizeof client->socket, "%s", path);
	snprintf(client->base, sizeof client->base, "http://localhost");
	return true;
}

/* Without a scheme it is HTTP's. */
static bool at_url(struct client *client, const char *url, char *problem, size_t capacity)
{
	const char *scheme = strncmp(url, "https://", 8) == 0 ? "https://" : "http://";
	const char *rest = url + (strncmp(url, scheme, strlen(scheme)) == 0 ? strlen(scheme) : 0);
	size_t size = strlen(rest);

	while (size > 0 && rest[size - 1] == '/')
		size--;
	if (size == 0 || size > 400 || memchr(rest, '@', size) != NULL) {
		say(problem, capacity, "a URL is like http://127.0.0.1:9180");
		return false;
	}
	snprintf(client->base, sizeof client->base, "%s%.*s", scheme, (int)size, rest);
	return true;
}

static bool where(struct client *client, const struct client_options *o, char *problem,
		  size_t capacity)
{
	const char *listen = getenv("KOLK_ADMIN_LISTEN");

	if (o->socket != NULL && o->url != NULL) {
		say(problem, capacity, "--socket and --url exclude each other");
		return false;
	}
	if (o->socket != NULL)
		return at_socket(client, o->socket, problem, capacity);
	if (o->url != NULL)
		return at_url(client, o->url, problem, capacity);
	if (listen != NULL && strncmp(listen, "unix:", 5) == 0)
		return at_socket(client, listen + 5, problem, capacity);
	if (listen != NULL && listen[0] != 0)
		return at_url(client, listen, problem, capacity);
	return at_socket(client, SOCKET_DEFAULT, problem, capacity);
}

struct client *client_open(const struct client_options *options, char *problem, size_t capacity)
{
	struct client *client = calloc(1, sizeof *client);

	say(problem, capacity, "out of memory");
	if (client == NULL)
		return NULL;
	client->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
	client->headers = curl_slist_append(NULL, "Content-Type: application/json");
	client->curl = client->headers != NULL ? curl_easy_init() : NULL;
	if (client->curl == NULL || !where(client, options, problem, capacity) ||
	    !token_take(client, options->token_file, problem, capacity)) {
		client_close(client);
		return NULL;
	}
	problem[0] = 0;
	return client;
}

void client_close(struct client *client)
{
	if (client == NULL)
		return;
	for (struct curl_slist *header = client->headers; header != NULL; header = header->next)
		explicit_bzero(header->data, strlen(header->data));
	curl_slist_free_all(client->headers);
	curl_easy_cleanup(client->curl);
	free(client);
}

/* ---- asking */

void client_query(struct client *client, struct query *query, const char *name, const char *value)
{
	char *escaped = curl_easy_escape(client->curl, value, 0);
	size_t used = strlen(query->path), left = sizeof query->path - used;
	int size = snprintf(query->path + used, left, "%c%s=%s",
			    strchr(query->path, '?') != NULL ? '&' : '?', name,
			    escaped != NULL ? escaped : "");

	if (escaped == NULL || size < 0 || (size_t)size >= left) {
		query->path[used] = 0;
		query->cut = true;
	}
	curl_free(escaped);
}

static size_t collect(char *bytes, size_t one, size_t count, void *user)
{
	struct answer *answer = user;
	size_t capacity = answer->capacity > 0 ? answer->capacity : COLLECT_MIN;
	char *text;

	(void)one;
	if (count > ANSWER_MAX - answer->size)
		return 0;
	while (capacity <= answer->size + count)
		capacity *= 2;
	text = capacity > answer->capacity ? realloc(answer->text, capacity) : answer->text;
	if (text == NULL)
		return 0;
	answer->capacity = capacity;
	answer->text = text;
	memcpy(text + answer->size, bytes, count);
	answer->size += count;
	answer->text[answer->size] = 0;
	return count;
}

/* What is the same for every call. */
static void set_up(struct client *client)
{
	CURL *curl = client->curl;

	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* the token must not leak */
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, client->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	if (client->socket[0] != 0)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket);
}

static enum outcome no_answer(struct client *client, CURLcode code, struct answer *answer)
{
	const char *place = client_where(client);
	long error = 0;

	curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &error);
	if (code == CURLE_OPERATION_TIMEDOUT)
		say(answer->problem, sizeof answer->problem,
		    "no answer from %s within %ld s: is the gateway stuck or stopped?", place,
		    client->timeout_ms / 1000);
	else if (code == CURLE_COULDNT_CONNECT && (error == EACCES || error == EPERM))
		say(answer->problem, sizeof answer->problem,
		    "%s: permission denied: run this as the user of the gateway", place);
	else if (code == CURLE_WRITE_ERROR)
		say(answer->problem, sizeof answer->problem,
		    "%s: the answer is longer than %d MiB, or does not fit into memory", place,
		    ANSWER_MAX >> 20);
	else if (code == CURLE_COULDNT_CONNECT)
		say(answer->problem, sizeof answer->problem,
		    "no server listens at %s: is the gateway running with an admin section? "
		    "--socket PATH or --url URL name another place",
		    place);
	else
		say(answer->problem, sizeof answer->problem, "%s: %s", place,
		    curl_easy_strerror(code));
	return NOBODY;
}

/* What the server says about itself, never trusted to be printable. */
static enum outcome refused(struct client *client, struct answer *answer)
{
	const json_t *error = json_object_get(answer->json, "error");
	const char *text = json_string_value(json_object_get(error, "message"));
	char clean[600];

	if (answer->status == 401 && !client->has_token)
		say(answer->problem, sizeof answer->problem,
		    "%s wants a token: name its file with --token-file, or set "
		    "KOLK_ADMIN_TOKEN",
		    client_where(client));
	else if (answer->status == 401)
		say(answer->problem, sizeof answer->problem,
		    "%s refuses this token: it has to be the one of its admin section",
		    client_where(client));
	else if (text != NULL)
		say(answer->problem, sizeof answer->problem, "refused (%ld): %s",
		    answer->status, text_clean(text, clean, sizeof clean, 0));
	else
		say(answer->problem, sizeof answer->problem,
		    "%s answered %ld: is it kolk's admin server?", client_where(client),
		    answer->status);
	return REFUSED;
}

enum outcome client_call(struct client *client, const struct call *call, struct answer *answer)
{
	char *text = call->body != NULL ? json_dumps(call->body, JSON_COMPACT) : NULL;
	char url[sizeof client->base + sizeof ((struct query *)0)->path];
	CURLcode code;

	memset(answer, 0, sizeof *answer);
	snprintf(url, sizeof url, "%s%s", client->base, call->path);
	set_up(client);
	curl_easy_setopt(client->curl, CURLOPT_URL, url);
	curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, call->method);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, answer);
	if (text != NULL)
		curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, text);
	code = curl_easy_perform(client->curl);
	free(text);
	if (code != CURLE_OK)
		return no_answer(client, code, answer);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &answer->status);
	if (answer->text != NULL)
		answer->json = json_loadb(answer->text, answer->size, JSON_ALLOW_NUL, NULL);
	return answer->status >= 200 && answer->status < 300 ? DONE : refused(client, answer);
}

void answer_free(struct answer *answer)
{
	json_decref(answer->json);
	free(answer->text);
	memset(answer, 0, sizeof *answer);
}
