/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools_attempts.c - what arguments may say, so that it is another thing to a parser of SQL, RESP,
 * HTTP, JSON, a shell or a program: it comes back byte by byte.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/gateway/program/tools_place.h"

struct attempt {
	const char *bytes;
	size_t size;
};
#define A(text) { text, sizeof(text) - 1 }
static const struct attempt attempts[] = {
	/* SQL */
	A("'"), A("''"), A("\""), A("\\'"), A("' or '1'='1"), A("' or 1=1 --"), A("'; drop table canary; --"),
	A("1; drop table canary"), A("1); delete from canary; --"), A("' union select secret from canary --"),
	A("$$"), A("$1"), A("$$; drop table canary; $$"), A("/*"), A("*/"), A("/* */ drop table canary"),
	A("--"), A("-- x"), A("#"), A("E'\\''"), A("\\"), A("\\\\"), A("\\x27"), A("%27"), A("{{text}}"),
	A("{{x}}"), A("}}{{"), A(":text"), A("@@version"), A("';select pg_sleep(60);--"),
	A("\xef\xbc\x87 or 1=1"), A("\xca\xbc or 1=1"), A("'||(select secret from canary)||'"),
	A("copy canary to program 'true'"), A("null"), A("NULL"), A("default"), A("NaN"), A("true"), A("0"),
	/* RESP */
	A("\r\n"), A("\n"), A("\r"), A("\r\nFLUSHALL\r\n"), A("*1\r\n$8\r\nFLUSHALL\r\n"),
	A("x\r\n*1\r\n$8\r\nFLUSHALL\r\n"), A("$-1\r\n"), A("*-1\r\n"), A("+OK\r\n"), A("-ERR\r\n"),
	A(":1\r\n"), A("$3\r\nabc\r\n"), A("\n\nFLUSHALL\n\n"), A("EVAL \"redis.call('flushall')\" 0"),
	A("*"), A("?"), A("[a-z]*"), A("canary\r\nDEL canary"), A("key with blanks"), A("\t"),
	/* HTTP */
	A("\r\nX-Injected: yes"), A("x HTTP/1.1\r\nHost: evil\r\n\r\n"), A("\r\n\r\nGET /missing HTTP/1.1\r\n\r\n"),
	A("%0d%0aX-Injected:%20yes"), A("%00"), A("%2e%2e%2f"), A("../"), A("../../../etc/passwd"),
	A("..\\..\\"), A("..;/"), A("/"), A("//evil.test/"), A("http://evil.test/"), A("?a=b"), A("&a=b"),
	A("#fragment"), A("a=b&c=d"), A(";a=b"), A("%"), A("%zz"), A("%u0027"), A("+"), A(" "), A("  x  "),
	A("a b"), A("\xc3\xa9"), A("\xe2\x80\xae"), A("\xf0\x9f\x98\x80"),
	/* JSON */
	A("\",\"admin\":true,\"x\":\""), A("\"}"), A("{\"a\":1}"), A("[1,2]"), A("\\u0022"), A("\\\""),
	A("</script>"), A("\x01\x02\x1f"), A("\x7f"), A("__proto__"), A("constructor"),
	/* shells and programs */
	A("; id"), A("| id"), A("|| id"), A("& id"), A("&& id"), A("`id`"), A("$(id)"), A("${IFS}"),
	A("$PATH"), A("> /tmp/kolk-injected"), A("< /etc/passwd"), A("\n/bin/id\n"), A("* "), A("~"),
	A("~root"), A("!!"), A("%s%s%n"), A("%d"), A("-"), A("--help"), A("-x"), A("--version"), A("-rf /"),
	A("-e"), A("--=x"), A("'$(id)'"), A("\"$(id)\""), A("{a,b}"), A("@/etc/passwd"),
	A("file:///etc/passwd"), A("\\n"), A("\\0"), A("x\0y"), A("\0"), A("'\0; drop table canary"),
	A("\0FLUSHALL")
};

enum { FORMS = 3 }; /* alone, behind a letter, in front of one */
const uint32_t attempt_count = FORMS * sizeof attempts / sizeof attempts[0];

json_t *attempt_of(uint32_t i, char bytes[200], size_t *size)
{
	const struct attempt *a = &attempts[i / FORMS];

	*size = 0;
	if (i % FORMS == 1)
		bytes[(*size)++] = 'x';
	memcpy(bytes + *size, a->bytes, a->size);
	*size += a->size;
	if (i % FORMS == 2)
		bytes[(*size)++] = 'x';
	return json_stringn_nocheck(bytes, *size);
}

bool is_same(json_t *value, const char *bytes, size_t size)
{
	return json_is_string(value) && json_string_length(value) == size &&
	       memcmp(json_string_value(value), bytes, size) == 0;
}

void note_attempt(const char *tool, json_t *value)
{
	char *said = json_dumps(value, JSON_ENCODE_ANY);

	tap_note("%s %s: %s", tool, said, strstr(text, "\r\n\r\n"));
	free(said);
}

void attempts_come_back(const struct tools_place *place, const char *tool,
			json_t *(*text_of)(json_t *structured), bool nul)
{
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < attempt_count && wrong < 5; i++) {
		char bytes[200];
		size_t size;
		json_t *value = attempt_of(i, bytes, &size);
		json_t *answer = call(place, tool, json_pack("{s:O}", "text", value));
		bool refused = !nul && memchr(bytes, '\0', size) != NULL;

		if (refused ? !is_error(answer) : !is_same(text_of(structured(answer)), bytes, size)) {
			wrong++;
			note_attempt(tool, value);
		}
		json_decref(answer);
		json_decref(value);
	}
	CHECK(wrong == 0);
}
