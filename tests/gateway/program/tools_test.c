/* SPDX-License-Identifier: Apache-2.0 */
/* tools_test.c - pooled tools: lists, programs, what ends a call, a reload, the status. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/gateway/program/tools_place.h"

/* ---- programs, and what every kind has */

static const char program_tools[] =
	"- name: say\n  title: Say it\n  parameters: [{name: what, required: true}, {name: more}]\n"
	"  command: [/usr/bin/printf, '<%s>', '{{what}}', 'm={{more}}']\n"
	"- {name: json, command: [/usr/bin/printf, '{\"a\": [1]}']}\n"
	"- {name: deep, command: [/bin/sh, -c, 'printf %0100d 0 | tr 0 [; printf %0100d 0 | tr 0 ]']}\n"
	"- {name: env, command: [/usr/bin/env], environment: [A=b c], inherit: [KOLK_TEST_INHERITED]}\n"
	"- {name: where, command: [/bin/pwd], directory: /usr}\n"
	"- {name: fails, command: [/bin/sh, -c, 'echo out; echo err >&2; exit 3']}\n"
	"- {name: killed, command: [/bin/sh, -c, 'kill -9 $$$$']}\n"
	"- {name: absent, command: [\"${KOLK_TEST_ABSENT}\"]}\n"
	"- {name: much, command: [/usr/bin/head, -c, '5000', /dev/zero], bytes_max: 1KiB}\n"
	"- {name: endless, command: [/usr/bin/yes], bytes_max: 1KiB}\n"
	"- {name: slow, command: [/bin/sleep, '1000'], timeout: 100ms}\n"
	"- {name: noisy, command: [/bin/sh, -c, 'for i in 1 2 3 4 5 6 7 8; do yes >&2 & done; wait'],\n"
	"   timeout: 100ms}\n"
	"- {name: long, command: [/bin/sleep, '1000'], timeout: 600s, calls_max: 1}\n"
	"- {name: largest, bytes_max: 4MiB, command: [/bin/sh, -c,\n"
	"   'printf \"[\\042\"; head -c 4000000 /dev/zero | tr \"\\000\" \"\\177\"; printf \"\\042]\"']}\n"
	"- {name: leaves, command: [/bin/sh, -c, 'sleep 1000 & echo left']}\n"
	"- name: success\n  parameters: [{name: n, type: integer, required: true}]\n"
	"  command: [/bin/sh, -c, 'exit \"$$1\"', sh, '{{n}}']\n  result: success\n";
#define PROGRAM_NAMES                                                                            \
	"say, json, deep, env, where, fails, killed, absent, much, endless, slow, noisy, long, " \
	"largest, leaves, success"

/* The program of the tool `absent` is there at the start, and is not when it is called. */
static bool open_programs(struct tools_place *place, const char *pools, const char *names)
{
	char path[] = "/tmp/kolk-gateway-absent-XXXXXX";
	int fd = mkstemp(path);
	bool ok = fd >= 0 && fchmod(fd, 0700) == 0 && setenv("KOLK_TEST_ABSENT", path, 1) == 0 &&
		  tools_open(place, pools, names, program_tools);

	unlink(path);
	close(fd);
	return ok;
}

static void test_list(void)
{
	struct tools_place place;
	json_t *answer, *tools, *modern;

	MUST(open_programs(&place, "  []\n", "say, json"));
	answer = ask_json(&place, place.session, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}");
	tools = json_object_get(json_object_get(answer, "result"), "tools");
	CHECK(json_array_size(tools) == 2); /* those of the route alone */
	CHECK(strcmp(json_string_value(json_object_get(json_array_get(tools, 0), "title")), "Say it") == 0);
	CHECK(json_object_get(json_object_get(json_array_get(tools, 0), "inputSchema"), "required") !=
	      NULL);
	modern = ask_json(&place, MODERN_FIELDS("tools/list"),
		     "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/list\",\"params\":{" META("", "") "}}");
	CHECK(json_equal(json_object_get(json_object_get(modern, "result"), "tools"), tools));
	json_decref(answer);
	json_decref(modern);
	modern = ask_json(&place, MODERN_CALL_FIELDS("say"),
		     "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"tools/call\",\"params\":{\"name\":\"say\","
		     "\"arguments\":{\"what\":\"x\"}," META("", "") "}}");
	CHECK(json_is_string(json_object_get(structured(modern), "output")));
	json_decref(modern);
	answer = call(&place, "env", json_object());
	CHECK(json_integer_value(json_object_get(json_object_get(answer, "error"), "code")) == -32602);
	json_decref(answer);
	answer = ask_json(&place, place.session, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"prompts/list\"}");
	CHECK(json_integer_value(json_object_get(json_object_get(answer, "error"), "code")) == -32601);
	json_decref(answer);
	place_close(&place.place);
}

static void check_programs(const struct tools_place *place)
{
	char deep[200], wanted[300];

	CHECK(comes_to(place, "say", "{\"what\":\"a b\",\"more\":\"\"}",
		       "{\"exit_status\":0,\"output\":\"<a b><m=>\"}", false));
	CHECK(comes_to(place, "say", "{\"what\":\"a b\"}", "{\"exit_status\":0,\"output\":\"<a b>\"}",
		       false));
	CHECK(comes_to(place, "say", "{}", "argument 'what' is missing", true));
	CHECK(comes_to(place, "say", "{\"what\":3}", "argument 'what' is no string", true));
	CHECK(comes_to(place, "say", "{\"what\":\"-n\"}", "begins with '-'", true));
	CHECK(comes_to(place, "json", "{}", "{\"exit_status\":0,\"output\":{\"a\":[1]}}", false));
	memset(deep, '[', 100); /* more than may stand in a message as it is */
	memset(deep + 100, ']', 100);
	snprintf(wanted, sizeof wanted, "{\"exit_status\":0,\"output\":\"%.200s\"}", deep);
	CHECK(comes_to(place, "deep", "{}", wanted, false));
	CHECK(comes_to(place, "env", "{}",
		       "{\"exit_status\":0,\"output\":\"A=b c\\nKOLK_TEST_INHERITED=i\\n\"}", false));
	CHECK(comes_to(place, "where", "{}", "{\"exit_status\":0,\"output\":\"/usr\\n\"}", false));
	CHECK(comes_to(place, "fails", "{}",
		       "{\"exit_status\":3,\"output\":\"out\\n\",\"error_output\":\"err\\n\"}", true));
	CHECK(comes_to(place, "killed", "{}",
		       "{\"exit_status\":null,\"output\":\"\",\"error_output\":\"\"}", true));
	CHECK(comes_to(place, "absent", "{}", "the program cannot be run: No such file", true));
	CHECK(comes_to(place, "much", "{}", "longer than the tool's bytes_max", true));
	CHECK(comes_to(place, "endless", "{}", "longer than the tool's bytes_max", true));
	CHECK(comes_to(place, "slow", "{}", "the tool's timeout has passed", true));
	CHECK(comes_to(place, "noisy", "{}", "the tool's timeout has passed", true));
	CHECK(comes_to(place, "leaves", "{}", "{\"exit_status\":0,\"output\":\"left\\n\"}", false));
	CHECK(comes_to(place, "success", "{\"n\":0}",
		       "{\"success\":true,\"data\":{\"exit_status\":0,\"output\":\"\"}}", false));
	CHECK(comes_to(place, "success", "{\"n\":4}",
		       "{\"success\":false,\"error\":\"the program ended with status 4\",\"data\":"
		       "{\"exit_status\":4,\"output\":\"\",\"error_output\":\"\"}}", true));
	CHECK(comes_to(place, "success", "{\"n\":\"x\"}",
		       "{\"success\":false,\"error\":\"argument 'n' is no integer of 64 bits\"}", true));
}

static void test_programs(void)
{
	struct tools_place place;

	setenv("KOLK_TEST_INHERITED", "i", 1);
	MUST(open_programs(&place, "  []\n", PROGRAM_NAMES));
	check_programs(&place);
	place_close(&place.place);
	unsetenv("KOLK_TEST_INHERITED");
}

/* Processes of that name whose parent is the gateway. */
static uint32_t children_of(const struct tools_place *place, const char *name)
{
	DIR *all = opendir("/proc");
	uint32_t count = 0;

	for (struct dirent *entry; all != NULL && (entry = readdir(all)) != NULL;) {
		char path[300], comm[32];
		int parent = 0;
		FILE *file;

		snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
		file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "r") : NULL;
		if (file == NULL)
			continue;
		if (fscanf(file, "%*d (%31[^)]) %*c %d", comm, &parent) == 2)
			count += parent == place->place.program.pid && strcmp(comm, name) == 0;
		fclose(file);
	}
	if (all != NULL)
		closedir(all);
	return count;
}

#define LONG(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\",\"params\":{\"name\":\"long\"}}"

/* The bytes of an answer. */
static size_t size_of_answer(int fd)
{
	struct timeval most = { .tv_sec = 30 };
	size_t size = 0;
	ssize_t got;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
	while ((got = read(fd, text, sizeof text)) > 0)
		size += (size_t)got;
	return got == 0 ? size : 0;
}

/* The longest result that there can be: each byte of it is an escape of six in the text. Another call is
 * under way in the session meanwhile. */
static void test_largest(void)
{
	struct tools_place place;
	int other, fd;

	MUST(open_programs(&place, "  []\n", PROGRAM_NAMES));
	other = begin_request(&place.place, "POST /mcp", place.session, LONG("31"));
	CHECK(WITHIN_MS(10000, children_of(&place, "sleep") == 1));
	fd = begin_request(&place.place, "POST /mcp", place.session,
			   "{\"jsonrpc\":\"2.0\",\"id\":32,\"method\":\"tools/call\",\"params\":{"
			   "\"name\":\"largest\"}}");
	CHECK(size_of_answer(fd) > 7 * 4000000);
	close(fd);
	close(other);
	place_close(&place.place);
}

/* A client that cancels, one that goes, and the end of the program: no child is left. */
static void test_cancel(void)
{
	struct tools_place place;
	char unused[PROGRAM_TEXT];
	int first, second;

	MUST(open_programs(&place, "  []\n", PROGRAM_NAMES));
	first = begin_request(&place.place, "POST /mcp", place.session, LONG("21"));
	CHECK(WITHIN_MS(10000, children_of(&place, "sleep") == 1));
	second = begin_request(&place.place, "POST /mcp", MODERN_CALL_FIELDS("long"),
			       "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"tools/call\",\"params\":{"
			       "\"name\":\"long\"," META("", "") "}}");
	/* It waits for the first one, and others do not. */
	CHECK(comes_to(&place, "json", "{}", "{\"exit_status\":0,\"output\":{\"a\":[1]}}", false));
	CHECK(children_of(&place, "sleep") == 1);
	close(begin_request(&place.place, "POST /mcp", place.session,
			    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{"
			    "\"requestId\":21}}"));
	client_read(first, NULL, unused);
	close(first);
	CHECK(WITHIN_MS(10000, children_of(&place, "sleep") == 1)); /* the second one's */
	close(second);
	CHECK(WITHIN_MS(10000, children_of(&place, "sleep") == 0));
	first = begin_request(&place.place, "POST /mcp", place.session, LONG("22"));
	CHECK(WITHIN_MS(10000, children_of(&place, "sleep") == 1));
	place_close(&place.place);
	close(first);
}

/* ---- the whole */

/* Tools stay as they are while the program runs; the rest of the file does not have to. */
static void test_reload(void)
{
	struct tools_place place;
	const char *same = "    - {match: {path: /mcp}, tenant: none, tools: [a]}\n"
			   "    - {match: {path: /other}, answer: {status: 204}}\n"
			   "tools:\n- {name: a, command: [/usr/bin/printf, '%s', one]}\n";
	const char *other = "    - {match: {path: /mcp}, tenant: none, tools: [a]}\n"
			    "tools:\n- {name: a, command: [/usr/bin/printf, '%s', two]}\n";

	MUST(tools_open(&place, "  []\n", "a", "- {name: a, command: [/usr/bin/printf, '%s', one]}\n"));
	for (int i = 0; i < 3; i++) {
		MUST(program_configure(&place.place.program, "  []\n", same));
		CHECK(program_reload(&place.place.program));
		CHECK(comes_to(&place, "a", "{}", "{\"exit_status\":0,\"output\":\"one\"}", false));
	}
	MUST(program_configure(&place.place.program, "  []\n", other));
	CHECK(!program_reload(&place.place.program));
	CHECK(program_says(&place.place.program, "tools, and the tools of routes, cannot change"));
	CHECK(comes_to(&place, "a", "{}", "{\"exit_status\":0,\"output\":\"one\"}", false));
	place_close(&place.place);
}

static void test_status(void)
{
	struct tools_place place;
	char pools[128];

	snprintf(pools, sizeof pools, "  []\nadmin: {listen: \"unix:%s\"}\n", place_admin());
	MUST(open_programs(&place, pools, "say, fails"));
	json_decref(call(&place, "say", json_pack("{s:s}", "what", "canary")));
	json_decref(call(&place, "fails", json_object()));
	MUST(place_get(&place.place, "/api/pool-status", text));
	CHECK(has("{\"name\":\"say\",\"calls\":1,\"failed\":0,\"inFlight\":0,\"kind\":"
		  "\"command\",\"pool\":\"\"}"));
	CHECK(has("{\"name\":\"fails\",\"calls\":1,\"failed\":1,\"inFlight\":0,"));
	CHECK(has("\"transport\":\"local\"") && !has("canary"));
	place_close(&place.place);
}

static const struct tap_test tests[] = {
	{ "tools of a route are listed, in both eras", test_list },
	{ "programs", test_programs },
	{ "the longest result", test_largest },
	{ "a call that is cancelled leaves nothing", test_cancel },
	{ "a reload keeps tools", test_reload },
	{ "the status counts calls", test_status },
};

TAP_TESTS(tools, tests);
