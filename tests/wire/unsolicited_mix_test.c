/* SPDX-License-Identifier: Apache-2.0 */
/* unsolicited_mix_test.c - the same at random: what comes, when, and who uses the lease. */
#include <string.h>

#include "tests/wire/unsolicited.h"

static uint64_t draw(uint64_t *state, uint64_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state % below;
}

/* Some of what may come, cut anywhere or not; sometimes data. */
static void peer_draw(struct peer *peer, uint64_t *random)
{
	static const enum what whats[] = { TICKETS, TICKETS, TICKETS, WARNING, DATA };

	peer->what = whats[draw(random, 5)];
	peer->count = 1 + (uint32_t)draw(random, 5);
	peer->size = 1 + (uint32_t)draw(random, 9000);
	peer->cut = draw(random, 2) ? 1 + draw(random, 100) : 0;
	if (peer->what == DATA)
		peer->count = 1;
}

enum moment { IDLE, LEASED, BEHIND, MOMENTS };

/* One lease, and unsolicited bytes at some moment of it. The invariant: harmless bytes are never
 * refused, data is never an answer (behind one, the next lease may find it). */
static void mix(struct unsolicited *s, uint64_t *random)
{
	enum moment moment = (enum moment)draw(random, MOMENTS);
	struct peer open = { .gate = KOLK__ATOMIC_INIT(1) };
	bool was_data = s->peer.what == DATA;
	uint64_t before;
	enum kolk_err err;

	peer_draw(&s->peer, random);
	unsolicited_user(s, (enum user)draw(random, THREADS));
	if (moment == IDLE || draw(random, 3) == 0)
		(void)unsolicited_renew(s);
	before = unsolicited_ended(s, KOLK_REASON_PEER_DATA);
	if (moment == IDLE)
		unsolicited_speak(s, true);
	/* On its way when the lease sends, it would look like its answer. */
	if (moment == IDLE && s->peer.what == DATA)
		(void)WITHIN_MS(300, unsolicited_ended(s, KOLK_REASON_PEER_DATA) > before);
	CHECK_ERR(use_begin(&s->use), KOLK_OK);
	if (moment == LEASED) {
		unsolicited_speak(s, true);
		/* unless it does not stream: then it is seen */
		(void)WITHIN_MS(300, unsolicited_has_come(s));
	}
	kolk__store_release(&s->peer.behind, moment == BEHIND);
	err = use_ask(&s->use, moment == BEHIND ? &open : &s->peer);
	if ((err != KOLK_OK && !((s->peer.what == DATA || was_data) && err == KOLK_E_CLOSED)) ||
	    (err == KOLK_OK &&
	     memcmp(s->use.answer, use_question, s->use.size < 6 ? s->use.size : 6))) {
		FAILED("the law holds");
		tap_note("what %d, count %u, size %u, cut %zu, moment %d, user %d: error %d",
			 s->peer.what, s->peer.count, s->peer.size, s->peer.cut, moment, s->user, err);
	}
	if (moment != BEHIND || !kolk__exchange_acq_rel(&s->peer.behind, 0))
		CHECK(WITHIN_MS(3000, kolk__load_acquire(&s->peer.said)));
	kolk__store_release(&s->peer.gate, 1);
	if (kolk__load_acquire(&s->peer.said) != 0)
		CHECK(WITHIN_MS(3000, kolk__load_acquire(&s->peer.said) == 2));
	use_end(&s->use);
	if (s->peer.what == DATA && moment == BEHIND)
		(void)WITHIN_MS(300, unsolicited_ended(s, KOLK_REASON_PEER_DATA) > before);
	kolk__store_relaxed(&s->peer.gate, 0);
	kolk__store_relaxed(&s->peer.said, 0);
}

static void mixture(void)
{
	struct unsolicited s = { .user = LOOP };
	uint64_t random = 88172645463325252u;

	MUST(unsolicited_open(&s));
	(void)unsolicited_fresh(&s);
	for (int i = 0; i < (wire_stride <= 8 ? 60 : 20) && !tap_is_failing(); i++)
		mix(&s, &random);
	unsolicited_close(&s);
}

static const struct tap_test tests[] = {
	{ "the same in a random mixture", mixture },
};
TAP_TESTS(unsolicited_mix, tests);
