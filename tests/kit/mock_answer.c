/* SPDX-License-Identifier: Apache-2.0 */
/* mock_answer.c - plays that are tables. */
#include "tests/kit/mock.h"

enum { REQUEST = 65536, FOREVER = -1 };

static bool answer_once(struct kit_mock_conn *conn, const struct kit_mock_answer *answer)
{
	char request[REQUEST];

	if (answer->until != NULL &&
	    !kit_mock_read_until(conn, answer->until, request, sizeof request, FOREVER))
		return false;
	if (answer->delay_us > 0 && !kit_mock_wait(conn, answer->delay_us))
		return false;
	if (answer->split > 0)
		return kit_mock_send_split(conn, answer->data, answer->size, answer->split,
					   answer->pause_us);
	return kit_mock_send_slowly(conn, answer->data, answer->size,
				    answer->piece > 0 ? answer->piece : answer->size,
				    answer->piece > 0 ? answer->pause_us : 0);
}

void kit_mock_answer(struct kit_mock_conn *conn, const struct kit_mock_answer *answer)
{
	for (uint32_t i = 0; answer->times == 0 || i < answer->times; i++)
		if (!answer_once(conn, answer))
			return;
	switch (answer->end) {
	case KIT_MOCK_POLITE:
		break;
	case KIT_MOCK_HALF_CLOSE:
		kit_mock_half_close(conn);
		kit_mock_drain(conn, FOREVER);
		break;
	case KIT_MOCK_CUT:
		kit_mock_cut(conn);
		break;
	case KIT_MOCK_RESET:
		kit_mock_reset(conn);
		break;
	case KIT_MOCK_STAY:
		kit_mock_drain(conn, FOREVER);
		break;
	}
}

void kit_mock_play_answer(struct kit_mock_conn *conn, void *user)
{
	kit_mock_answer(conn, user);
}
