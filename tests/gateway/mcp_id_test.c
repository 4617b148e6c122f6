/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_id_test.c - ids of sessions: good for those that they are bound to, however often they were
 * opened before. */
#include "tests/kit/cmocka/run.h"

#include <string.h>

#include "tools/gateway/mcp/id.h"
#include "tools/gateway/tenant.h"

enum { IDS = 1000 }; /* more than are remembered at first */

static const uint8_t nobody[32], alice[32] = { 1 };

static void set_up(struct gw_mcp_ids *ids)
{
	static const uint8_t key[32] = { 7 };

	memset(ids, 0, sizeof *ids);
	mbedtls_gcm_init(&ids->gcm);
	assert_int_equal(mbedtls_gcm_setkey(&ids->gcm, MBEDTLS_CIPHER_ID_AES, key, 256), 0);
}

static struct gw_mcp_place place_of(const char *tenant, const uint8_t *principal)
{
	return (struct gw_mcp_place){ .route = 3, .tenant = tenant, .principal = principal };
}

static bool opens(struct gw_mcp_ids *ids, const char *id, struct gw_mcp_place asked)
{
	bool ok = gw_mcp_id_open(ids, id, &asked);

	return ok && asked.loop == 5 && asked.slot == 6 && asked.generation == 7;
}

static void seal(struct gw_mcp_ids *ids, struct gw_mcp_place place, char id[GW_MCP_ID_SIZE])
{
	place.loop = 5;
	place.slot = 6;
	place.generation = 7;
	assert_true(gw_mcp_id_seal(ids, &place, id));
	assert_int_equal(strlen(id), GW_MCP_ID_SIZE - 1);
}

/* Each is asked for twice: before it is known, and then. */
static void an_id_is_good_for_what_it_is_bound_to(void **state)
{
	static char longest[GW_TENANT_SIZE], longest_but_one[GW_TENANT_SIZE];
	const char *const tenants[] = { "", "a", "ab", longest };
	struct gw_mcp_place other;
	char id[GW_MCP_ID_SIZE];
	struct gw_mcp_ids ids;

	(void)state;
	memset(longest, 'x', sizeof longest - 1);
	memset(longest_but_one, 'x', sizeof longest_but_one - 2);
	set_up(&ids);
	for (size_t i = 0; i < 4; i++) {
		seal(&ids, place_of(tenants[i], alice), id);
		for (int times = 0; times < 3; times++) {
			assert_false(opens(&ids, id, place_of(tenants[(i + 1) % 4], alice)));
			assert_false(opens(&ids, id, place_of(longest_but_one, alice)));
			assert_false(opens(&ids, id, place_of(tenants[i], nobody)));
			other = place_of(tenants[i], alice);
			other.route = 4;
			assert_false(opens(&ids, id, other));
			other = place_of(tenants[i], alice);
			other.use = GW_MCP_USE_STATE;
			assert_false(opens(&ids, id, other));
			assert_true(opens(&ids, id, place_of(tenants[i], alice)));
		}
	}
	gw_mcp_ids_free(&ids);
}

static void an_id_has_one_spelling(void **state)
{
	char id[GW_MCP_ID_SIZE], wrong[GW_MCP_ID_SIZE + 1];
	struct gw_mcp_ids ids;

	(void)state;
	set_up(&ids);
	seal(&ids, place_of("a", nobody), id);
	assert_true(opens(&ids, id, place_of("a", nobody)));
	for (size_t i = 0; i < GW_MCP_ID_SIZE - 1; i++) {
		strcpy(wrong, id);
		wrong[i] = wrong[i] == '0' ? '1' : '0';
		assert_false(opens(&ids, wrong, place_of("a", nobody)));
		wrong[i] = 'A';
		assert_false(opens(&ids, wrong, place_of("a", nobody)));
		wrong[i] = '\0';
		assert_false(opens(&ids, wrong, place_of("a", nobody)));
	}
	strcat(strcpy(wrong, id), "0");
	assert_false(opens(&ids, wrong, place_of("a", nobody)));
	assert_true(opens(&ids, id, place_of("a", nobody)));
	gw_mcp_ids_free(&ids);
}

static void many_ids_have_places_of_their_own(void **state)
{
	static char id[IDS][GW_MCP_ID_SIZE];
	struct gw_mcp_place place = place_of("a", alice), found;
	struct gw_mcp_ids ids;

	(void)state;
	set_up(&ids);
	for (uint32_t i = 0; i < IDS; i++) {
		place.slot = i;
		place.generation = 2 * i;
		assert_true(gw_mcp_id_seal(&ids, &place, id[i]));
	}
	for (uint32_t i = 0; i < 3 * IDS; i++) {
		found = place_of("a", alice);
		assert_true(gw_mcp_id_open(&ids, id[i * 7 % IDS], &found));
		assert_int_equal(found.slot, i * 7 % IDS);
		assert_int_equal(found.generation, 2 * (i * 7 % IDS));
	}
	gw_mcp_ids_free(&ids);
}

static uint32_t open_all(struct gw_mcp_ids *ids, char id[][GW_MCP_ID_SIZE], uint32_t count)
{
	uint32_t opened = 0;

	for (uint32_t i = 0; i < count; i++)
		opened += opens(ids, id[i], place_of("a", alice));
	return opened;
}

/* With another key no id is decrypted: those that open are remembered. */
static void as_many_ids_are_remembered_as_there_are_sessions(void **state)
{
	static const uint8_t other_key[32] = { 8 };
	static char id[IDS][GW_MCP_ID_SIZE];
	struct gw_mcp_ids ids;

	(void)state;
	set_up(&ids);
	for (uint32_t i = 0; i < IDS; i++)
		seal(&ids, place_of("a", alice), id[i]);
	assert_int_equal(open_all(&ids, id, IDS), IDS);
	gw_mcp_ids_fit(&ids, IDS);
	for (int times = 0; times < 8; times++) /* an id that another one displaced takes another place */
		assert_int_equal(open_all(&ids, id, IDS), IDS);
	assert_int_equal(mbedtls_gcm_setkey(&ids.gcm, MBEDTLS_CIPHER_ID_AES, other_key, 256), 0);
	assert_in_range(open_all(&ids, id, IDS), IDS * 3 / 4, IDS); /* some sets are too small */
	gw_mcp_ids_free(&ids);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(an_id_is_good_for_what_it_is_bound_to),
	cmocka_unit_test(an_id_has_one_spelling),
	cmocka_unit_test(many_ids_have_places_of_their_own),
	cmocka_unit_test(as_many_ids_are_remembered_as_there_are_sessions),
};

CMOCKA_TESTS(mcp_id, tests);
