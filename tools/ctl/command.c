/* SPDX-License-Identifier: Apache-2.0 */
/* command.c - the commands of kolk-ctl: one request each, and its answer in words. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/ctl/ctl.h"
#include "tools/ctl/text.h"
#include "tools/ctl/view.h"

static void print_json(const json_t *json)
{
	/* ASCII only: what a name holds cannot steer a terminal. */
	json_dumpf(json, stdout,
		   JSON_ENSURE_ASCII | (isatty(1) ? JSON_INDENT(2) : JSON_COMPACT));
	putchar('\n');
}

typedef void show_fn(const struct request *request, const json_t *answer);

/* Ask, and drop the call's body; on success without --json, `show` the answer. */
static enum outcome ask(const struct request *request, const struct call *call, show_fn *show)
{
	struct answer answer;
	enum outcome outcome = client_call(request->client, call, &answer);

	json_decref(call->body);
	if (request->json && answer.json != NULL)
		print_json(answer.json);
	if (outcome != DONE)
		complain(outcome, answer.problem);
	else if (answer.json == NULL)
		outcome =
			complain(REFUSED, "the answer is no JSON: is it kolk's admin server?");
	else if (!request->json)
		show(request, answer.json);
	answer_free(&answer);
	return outcome;
}

/* ---- status */

static void line(const struct request *request, enum style style, const char *text)
{
	printf("%s%s%s\n", request->colour ? style_begin(style) : "", text,
	       request->colour ? style_begin(PLAIN) : "");
}

static void print_summary(const struct request *request, const struct summary *s)
{
	char uptime[TEXT_NUMBER], a[TEXT_NUMBER], b[TEXT_NUMBER], c[TEXT_NUMBER];
	char text[512];
	double full = s->limit > 0 ? (double)s->open / (double)s->limit : 0;

	snprintf(text, sizeof text, "kolk %s on %s%s%s, up %s", s->version, s->backend,
		 s->tls[0] != 0 ? ", " : "", s->tls, text_duration(s->uptime_s, uptime));
	line(request, HEAD, text);
	snprintf(text, sizeof text,
		 "connections  %llu of %llu open (%.0f %%): %llu idle, %llu leased, "
		 "%llu dialing, %llu pinging, %llu closing",
		 (unsigned long long)s->open, (unsigned long long)s->limit, full * 100,
		 (unsigned long long)s->idle, (unsigned long long)s->leased,
		 (unsigned long long)s->dialing, (unsigned long long)s->pinging,
		 (unsigned long long)s->closing);
	line(request, full >= 1 ? BAD : full >= 0.8 ? WARN : PLAIN, text);
	printf("leases       %s, %.1f %% on a connection that was used before\n",
	       text_count(s->acquired, a), s->reused * 100);
	printf("callers      %s waiting, %s refused%s%s%s; %s dials failed\n",
	       text_count(s->waiting, a), text_count(s->refused, b),
	       s->refused_for[0] != 0 ? " (most: " : "", s->refused_for,
	       s->refused_for[0] != 0 ? ")" : "", text_count(s->dial_failed, c));
}

static void print_section(const struct request *request, const json_t *status,
			  enum section section)
{
	struct table table;

	view_table(section, &(struct view){ .status = status }, &table);
	if (table_rows(&table) > 0) {
		putchar('\n');
		table_print(&table, stdout, request->colour);
	}
	table_close(&table);
}

static void print_status(const struct request *request, const json_t *status)
{
	struct summary summary;
	struct alert alert;

	view_summary(status, NULL, &summary);
	print_summary(request, &summary);
	for (size_t i = 0; view_alert(status, i, &alert); i++)
		line(request, alert.style, alert.text);
	print_section(request, status, SECTION_POOLS);
	print_section(request, status, SECTION_ROUTES);
	print_section(request, status, SECTION_MEMBERS);
	print_section(request, status, SECTION_FEDERATIONS);
	print_section(request, status, SECTION_TOOLS);
	print_section(request, status, SECTION_TENANTS);
	if ((request->given & OPTION_CONNECTIONS) != 0)
		print_section(request, status, SECTION_CONNECTIONS);
	print_section(request, status, SECTION_WAITERS);
	print_section(request, status, SECTION_OVERDUE);
	if ((request->given & OPTION_CONNECTIONS) != 0 &&
	    json_is_true(json_object_get(status, "truncated")))
		printf("\nThere is more: --pool and --user narrow it down.\n");
}

enum outcome command_status(const struct request *request)
{
	struct query query = { .path = "/api/pool-status" };
	bool all = request->json || (request->given & OPTION_CONNECTIONS) != 0;

	client_query(request->client, &query, "connections", all ? "1000" : "0");
	if (request->pool != NULL)
		client_query(request->client, &query, "pool", request->pool);
	if (request->user != NULL)
		client_query(request->client, &query, "tenant", request->user);
	if (query.cut)
		return complain(USAGE, "such a name is too long");
	return ask(request, &(struct call){ "GET", query.path, NULL }, print_status);
}

/* ---- commands that change something */

static json_t *body_of(const struct request *request)
{
	json_t *body = json_object();

	if (request->pool != NULL)
		json_object_set_new(body, "pool", json_string(request->pool));
	if (request->user != NULL)
		json_object_set_new(body, "user", json_string(request->user));
	if ((request->given & OPTION_IDLE) != 0)
		json_object_set_new(body, "idleMs", json_integer((json_int_t)request->idle_ms));
	if ((request->given & OPTION_ALL) != 0)
		json_object_set_new(body, "all", json_true());
	return body;
}

/* A name that is no UTF-8 cannot be said in JSON, and would be left out of the body above:
 * then a command for one would become one for all. */
static bool is_sayable(const char *name)
{
	json_t *json = name != NULL ? json_string(name) : json_null();
	bool good = json != NULL;

	json_decref(json);
	return good;
}

static enum outcome check_names(const struct request *request)
{
	if (!is_sayable(request->pool) || !is_sayable(request->user))
		return complain(USAGE, "this name is not UTF-8");
	return DONE;
}

static enum outcome change(const struct request *request, const char *path, json_t *body,
			   show_fn *show)
{
	return ask(request, &(struct call){ "POST", path, body }, show);
}

/* On a terminal the user must confirm; a script has said what it wants. */
static bool agrees(const struct request *request, const char *question)
{
	char answer[16] = "";

	if ((request->given & OPTION_YES) != 0 || !isatty(0))
		return true;
	fprintf(stderr, "%s [y/N] ", question);
	return fgets(answer, sizeof answer, stdin) != NULL &&
	       (answer[0] == 'y' || answer[0] == 'Y');
}

static const char *whom(const struct request *request, char *out, size_t capacity)
{
	char name[300];

	if (request->pool == NULL && request->user == NULL)
		return "everything";
	snprintf(out, capacity, "%s %s", request->pool != NULL ? "pool" : "user",
		 text_clean(request->pool != NULL ? request->pool : request->user, name,
			    sizeof name, 60));
	return out;
}

/* What a reload says: its texts, one a line. */
static void print_texts(const struct request *request, const json_t *answer)
{
	const char *name;
	json_t *value;

	(void)request;
	json_object_foreach((json_t *)answer, name, value) {
		char clean[600], what[100];

		if (json_is_string(value))
			printf("%s: %s\n", text_clean(name, what, sizeof what, 0),
			       text_clean(json_string_value(value), clean, sizeof clean, 0));
	}
}

static void print_cleaned(const struct request *request, const json_t *answer)
{
	char a[TEXT_NUMBER], b[TEXT_NUMBER], c[TEXT_NUMBER];

	(void)request;
	printf("%s closed, %s open (%s before)\n", text_count(view_count(answer, "cleaned"), a),
	       text_count(view_count(answer, "after"), b),
	       text_count(view_count(answer, "before"), c));
}

static void print_warm(const struct request *request, const json_t *answer)
{
	char name[300];

	printf("%s is %s\n", whom(request, name, sizeof name),
	       strcmp(view_text(answer, "status"), "warm") == 0 ? "warm" : "being warmed");
}

static void print_draining(const struct request *request, const json_t *answer)
{
	char name[300], grace[TEXT_NUMBER];

	printf("%s drains until resume; leases may go on for %s\n", whom(request, name, sizeof name),
	       text_duration(view_number(answer, "graceMs") / 1e3, grace));
}

static void print_resumed(const struct request *request, const json_t *answer)
{
	char name[300];

	(void)answer;
	printf("%s serves again\n", whom(request, name, sizeof name));
}

static void print_evicted(const struct request *request, const json_t *answer)
{
	char count[TEXT_NUMBER];

	(void)request;
	printf("%s connections are stale: idle ones close now, leased ones later\n",
	       text_count(view_count(answer, "outdated"), count));
}

enum outcome command_cleanup(const struct request *request)
{
	enum outcome outcome = check_names(request);

	return outcome != DONE ? outcome
			       : change(request, "/api/cleanup-connections", body_of(request),
					print_cleaned);
}

enum outcome command_warmup(const struct request *request)
{
	enum outcome outcome = check_names(request);

	if ((request->pool != NULL) == (request->user != NULL))
		return complain(USAGE, "warmup takes --pool P or --user U");
	return outcome != DONE ? outcome
			       : change(request, "/api/warmup", body_of(request), print_warm);
}

/* A script whose variable is empty must not mean everything: exactly one is to be said. */
static enum outcome check_target(const struct request *request, const char *usage)
{
	bool all = (request->given & OPTION_ALL) != 0;

	if ((request->pool != NULL) + (request->user != NULL) + all != 1)
		return complain(USAGE, usage);
	return check_names(request);
}

enum outcome command_drain(const struct request *request)
{
	enum outcome outcome = check_target(request, "drain takes --pool P or --all");
	char name[300], question[500];
	json_t *body;

	if (outcome != DONE)
		return outcome;
	snprintf(question, sizeof question, "Drain %s? Callers are refused until resume.",
		 whom(request, name, sizeof name));
	if (!agrees(request, question))
		return complain(REFUSED, "nothing was done");
	body = body_of(request);
	json_object_set_new(body, "graceMs", json_integer((json_int_t)request->grace_ms));
	return change(request, "/api/drain", body, print_draining);
}

enum outcome command_resume(const struct request *request)
{
	enum outcome outcome = check_target(request, "resume takes --pool P or --all");

	return outcome != DONE ? outcome
			       : change(request, "/api/resume", body_of(request), print_resumed);
}

enum outcome command_evict(const struct request *request)
{
	enum outcome outcome = check_target(request, "evict takes --pool P, --user U or --all");
	char name[300], question[500];

	if (outcome != DONE)
		return outcome;
	snprintf(question, sizeof question, "Replace every connection of %s?",
		 whom(request, name, sizeof name));
	if (!agrees(request, question))
		return complain(REFUSED, "nothing was done");
	return change(request, "/api/evict", body_of(request), print_evicted);
}

enum outcome command_reload(const struct request *request)
{
	return ask(request, &(struct call){ "PUT", "/api/config", json_object() }, print_texts);
}

/* ---- metrics and health */

enum outcome command_metrics(const struct request *request)
{
	struct answer answer;
	enum outcome outcome;

	if (request->json)
		return complain(USAGE,
				"metrics are no JSON; status --json has the same figures");
	outcome = client_call(request->client, &(struct call){ "GET", "/metrics", NULL }, &answer);
	if (outcome != DONE)
		complain(outcome, answer.problem);
	else
		text_write(answer.text != NULL ? answer.text : "", answer.size, stdout,
			   isatty(1) != 0);
	answer_free(&answer);
	return outcome;
}

/* One of /health and /ready: an answer that is not "yes" is a result too. */
static enum outcome probe(const struct request *request, const char *path, json_t *result)
{
	struct answer answer;
	enum outcome outcome =
		client_call(request->client, &(struct call){ "GET", path, NULL }, &answer);

	if (outcome == NOBODY || answer.status == 401 || answer.json == NULL) {
		complain(outcome == DONE ? REFUSED : outcome,
			 outcome == DONE ? "the answer is no JSON" : answer.problem);
		answer_free(&answer);
		return outcome == DONE ? REFUSED : outcome;
	}
	json_object_set(result, path + 1, answer.json);
	if (!request->json) {
		const json_t *error = json_object_get(answer.json, "error");
		const char *status = view_text(answer.json, "status");
		const char *why = view_text(error, "message");
		char clean[400];

		text_clean(status[0] != 0 ? status : why, clean, sizeof clean, 0);
		printf("%-7s ", path + 1);
		line(request, outcome == DONE ? GOOD : BAD,
		     clean[0] != 0     ? clean
		     : outcome == DONE ? "ok"
				       : "no");
	}
	answer_free(&answer);
	return outcome;
}

enum outcome command_health(const struct request *request)
{
	json_t *result = json_object();
	enum outcome lives = probe(request, "/health", result), ready = lives;

	if (lives != NOBODY && json_object_size(result) > 0)
		ready = probe(request, "/ready", result);
	if (request->json && json_object_size(result) > 0)
		print_json(result);
	json_decref(result);
	return lives != DONE ? lives : ready;
}
