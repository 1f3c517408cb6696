import asyncio
import hashlib
import io
import zipfile

import pytest
from aiohttp import web

from bot.commands import Imagine
from bot.errors import CannotStart
from bot.jobs import Identity, Place
from bot.web.server import serve
from tests.site import OpenSite

QUICK = "--quality draft --steps 2"


@pytest.fixture
async def site(tmp_path):
    site = await OpenSite(tmp_path / "data").open()
    yield site
    await site.close()


async def test_a_sentence_becomes_a_job_and_its_picture(site):
    job = await site.draw("a red car --seed 7 --ar 16:9")
    image = job["images"][0]
    assert (job["status"], image["seed"], image["width"], image["height"]) == ("delivered", 7, 2048, 1152)
    status, png = await site.ask("GET", image["url"])
    assert (status, hashlib.sha256(png).hexdigest()) == (200, image["sha256"])


async def test_permutations_are_one_answer_with_several_jobs(site):
    _, answer = await site.ask("POST", "/api/commands", {"text": f"a {{red, blue}} car {QUICK}"})
    assert [job["request"]["prompt"] for job in answer["jobs"]] == ["a red car", "a blue car"]
    assert answer["job"] == answer["jobs"][0]


async def test_a_comparison_is_a_job_for_each_model_with_the_same_seed(site):
    _, plan = await site.ask("GET", "/api/words?text=/limner+compare+a+car+--quality+draft")
    _, answer = await site.ask("POST", "/api/commands", {"text": f"/limner compare a red car {QUICK}"})
    _, here = await site.ask("GET", "/api/models")
    assert [job["request"]["model"] for job in answer["jobs"]] == [model["name"] for model in here["models"]]
    assert len({job["request"]["seed"] for job in answer["jobs"]}) == 1
    assert plan["jobs"] == len(here["models"])


async def test_the_same_key_is_the_same_job(site):
    body = {"text": f"a red car {QUICK}"}
    first, again, other = [
        (await site.ask("POST", "/api/commands", body, {"Idempotency-Key": key}))[1]["job"]["id"] for key in "aab"
    ]
    assert first == again != other


@pytest.mark.parametrize(
    ("text", "code", "title"),
    [
        ("", "bad_prompt", "Say what to draw"),
        ("a car --stlye x", "bad_option", "Unknown option `--stlye`"),
        ("a car --ar 40:1", "bad_option", "`--ar 40:1` is out of range"),
        ("/imagin a car", "bad_option", "Unknown command `/imagin`"),
        ("x" * 10_000, "bad_prompt", "That prompt is too long"),
        ("/limner show zzzz", "unknown", "There is no `zzzz` here"),
    ],
)
async def test_a_refusal_is_a_sentence_with_a_way_on(site, text, code, title):
    status, answer = await site.ask("POST", "/api/commands", {"text": text})
    assert 400 <= status < 500
    assert (answer["error"]["code"], answer["error"]["title"]) == (code, title)
    assert answer["error"].keys() == {"code", "title", "body", "actions"}
    assert (await site.ask("GET", "/api/jobs"))[1] == {"jobs": []}


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'{"text": 7}', b'{"txt": "a"}', b'{"text": "\xff"}', b'{"text": "\\ud800"']
)
async def test_a_body_that_does_not_fit_is_a_clear_400(site, raw):
    status, answer = await site.ask("POST", "/api/commands", raw=raw)
    assert (status, answer["error"]["code"]) == (400, "bad_request")


async def test_a_body_that_is_too_large_is_refused_unread(site):
    status, answer = await site.ask("POST", "/api/commands", {"text": "x" * 100_000})
    assert (status, answer["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:{port}"}, 421),
        ({"Host": "127.0.0.1:1"}, 421),
        ({"Host": "127.0.0.1@evil.example:{port}"}, 421),
        ({"Host": "127.0.0.1:{port}:x"}, 421),
        ({"Host": "localhost:{port}"}, 200),
        ({"Host": "[::1]:{port}"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
        ({"Origin": "http://localhost:{port}"}, 403),
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
)
async def test_no_other_site_presses_the_buttons(site, headers, status):
    sent = {name: value.format(port=site.port) for name, value in headers.items()}
    assert (await site.ask("POST", "/api/commands", {"text": "/limner help"}, sent))[0] == status


@pytest.mark.parametrize("path", ["/", "/api/jobs", "/api/events", "/static/app.js", "/healthz", "/images/k7q2/0.png"])
async def test_a_foreign_host_reads_nothing(site, path):
    assert (await site.ask("GET", path, headers={"Host": "evil.example"}))[0] == 421
    assert (await site.ask("GET", path, headers={"Origin": "http://evil.example"}))[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/images/../../limner.db",
        "/images/%2e%2e/0.png",
        "/images/..%2f..%2flimner.db/0.png",
        "/images/k7q2/0.db",
        "/images/k7q2/-1.png",
        "/images/k7q2%00/0.png",
        "/static/%2e%2e/server.py",
        "/static/../server.py",
        "/static/..%5cserver.py",
        "/previews/k7q2/0.jpg",
        "/nothing",
    ],
)
async def test_no_path_leads_out_of_the_store(site, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.split()[1] in (b"403", b"404")
    assert b"import" not in answer
    assert b"SQLite" not in answer


@pytest.mark.parametrize("path", ["/", "/static/app.css", "/api/jobs", "/api/events", "/nothing"])
async def test_every_answer_forbids_what_the_page_does_not_need(site, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    writer.close()
    await writer.wait_closed()
    for header in ("default-src 'self'", "frame-ancestors 'none'", "nosniff", "no-referrer"):
        assert header in head


@pytest.mark.parametrize("verb", ["reroll", "vary", "vary_slightly", "four_more", "full_size", "again"])
async def test_every_button_makes_a_child_of_the_picture(site, verb):
    parent = await site.draw(f"a red car --seed 7 {QUICK}")
    status, answer = await site.ask("POST", f"/api/jobs/{parent['id']}/{verb}", {"index": 0})
    child = await site.end_of(answer["job"]["id"])
    lineage = {name: child["lineage"][name] for name in ("job_id", "index", "verb")}
    assert (status, child["status"], child["root"]) == (200, "delivered", parent["id"])
    assert lineage == {"job_id": parent["id"], "index": 0, "verb": verb}
    assert parent["id"] in child["lineage"]["line"]


async def test_a_remix_says_only_what_changes(site):
    parent = await site.draw(f"a red car --seed 7 {QUICK}")
    _, answer = await site.ask("POST", f"/api/jobs/{parent['id']}/remix", {"index": 0, "text": "at night"})
    request = answer["job"]["request"]
    assert (request["prompt"], request["seed"]) == ("a red car, at night", 7)


async def test_a_thread_is_its_first_job_and_all_that_came_of_it(site):
    first, other = await site.draw(f"a red car {QUICK}"), await site.draw(f"a boat {QUICK}")
    child = (await site.ask("POST", f"/api/jobs/{first['id']}/reroll", {"index": 0}))[1]["job"]["id"]
    grandchild = (await site.ask("POST", f"/api/jobs/{child}/reroll", {"index": 0}))[1]["job"]["id"]
    _, answer = await site.ask("GET", f"/api/jobs?thread={grandchild}")
    assert [job["id"] for job in answer["jobs"]] == [first["id"], child, grandchild]
    assert other["id"] in [job["id"] for job in (await site.ask("GET", "/api/jobs"))[1]["jobs"]]


async def test_info_has_a_command_that_draws_it_again(site):
    job = await site.draw(f"a red car --seed 7 {QUICK}")
    _, answer = await site.ask("POST", f"/api/jobs/{job['id']}/info", {"index": 0})
    again = await site.draw(answer["info"]["command"])
    assert ["Seed", "7"] in answer["info"]["facts"]
    assert again["images"][0]["sha256"] == job["images"][0]["sha256"]


@pytest.mark.parametrize(("verb", "suffix"), [("how", ".strip.jpg"), ("original", ".png")])
async def test_a_button_that_opens_a_file_names_its_address(site, verb, suffix):
    job = await site.draw(f"a red car {QUICK}")
    _, answer = await site.ask("POST", f"/api/jobs/{job['id']}/{verb}", {"index": 0})
    assert answer["url"] == f"/images/{job['id']}/0{suffix}"
    assert (await site.ask("GET", answer["url"]))[0] == 200


async def test_what_is_deleted_is_gone_and_can_be_run_again(site):
    job = await site.draw(f"a red car {QUICK}")
    url = job["images"][0]["url"]
    _, answer = await site.ask("POST", f"/api/jobs/{job['id']}/delete", {"index": 0})
    assert [(image["status"], image["url"]) for image in answer["job"]["images"]] == [("deleted", None)]
    status, answer = await site.ask("GET", url)
    assert (status, answer["error"]["actions"][0]["verb"]) == (410, "again")


async def test_a_job_that_is_cancelled_costs_nothing(site):
    await site.house.engine.close()
    _, answer = await site.ask("POST", "/api/commands", {"text": "a red car"})
    again = (await site.ask("POST", "/api/commands", {"text": "a blue car"}))[1]["job"]["id"]
    _, newest = await site.ask("POST", "/api/commands", {"text": "/limner cancel"})
    _, answer = await site.ask("POST", f"/api/jobs/{answer['job']['id']}/cancel", {})
    assert (newest["job"]["id"], newest["job"]["status"], answer["job"]["status"]) == (again, "cancelled", "cancelled")
    assert (await site.ask("GET", "/api/quota"))[1]["quota"]["used"] == 0


@pytest.mark.parametrize("verb", ["nothing", "imagine", "__class__"])
async def test_a_verb_that_is_none_is_unknown(site, verb):
    job = await site.draw(f"a red car {QUICK}")
    assert (await site.ask("POST", f"/api/jobs/{job['id']}/{verb}", {}))[0] == 404


@pytest.mark.parametrize(
    "text", ["/limner quota", "/limner queue", "/limner history", "/limner models", "/limner help"]
)
async def test_a_question_is_answered_with_text(site, text):
    await site.draw(f"a red car {QUICK}")
    status, answer = await site.ask("POST", "/api/commands", {"text": text})
    assert (status, answer["answer"]["title"]) == (200, text)
    assert answer["answer"]["body"]


async def test_typed_commands_find_and_repeat_jobs(site):
    job = await site.draw(f"a red car {QUICK}")
    assert (await site.draw(f"/limner show {job['id']}"))["id"] == job["id"]
    assert (await site.draw(f"/limner reroll {job['id']} 9"))["request"]["seed"] == 9
    assert (await site.draw(f"/limner reroll {job['id']}"))["lineage"]["verb"] == "reroll"
    _, nothing = await site.ask("POST", "/api/commands", {"text": "/limner cancel"})
    assert nothing["answer"]["body"] == "Nothing waits."


async def test_the_price_and_unknown_words_are_told_before_it_draws(site):
    _, plan = await site.ask("GET", "/api/words?text=a+%7Bred,blue%7D+zebra+--n+2")
    assert (plan["jobs"], plan["units"], plan["unknown"]) == (2, 8, ["zebra"])
    assert (await site.ask("GET", "/api/jobs"))[1] == {"jobs": []}
    _, plan = await site.ask("GET", "/api/words?text=a+car+--stlye")
    assert plan["problem"]["title"] == "Unknown option `--stlye`"


async def test_a_reader_hears_the_state_and_then_each_change(site):
    before = await site.draw(f"a boat {QUICK}")
    async with site.events() as events:
        name, state = await anext(events)
        assert (name, [job["id"] for job in state["jobs"]]) == ("state", [before["id"]])
        _, answer = await site.ask("POST", "/api/commands", {"text": "a red car --quality draft"})
        heard = [document async for name, document in _until_delivered(events) if name == "job"]
    assert {job["id"] for job in heard} == {answer["job"]["id"]}
    assert heard[-1]["images"][0]["url"]


async def _until_delivered(events):
    async for name, document in events:
        yield name, document
        if name == "job" and document["status"] == "delivered":
            return


async def test_a_preview_can_be_seen_while_it_draws(site):
    async with site.events() as events:
        await site.ask("POST", "/api/commands", {"text": "a red car --steps 60"})
        async for name, document in events:
            if name == "job" and (document["live"] or {}).get("previews"):
                break
        job = await site.house.store.job(document["id"])
        jpeg = site.house.feed.live(job.id).previews[0]
        status, seen = await site.ask("GET", document["live"]["previews"]["0"])
        assert (status, seen) == (200, jpeg)


async def test_jobs_of_other_people_are_not_on_the_page(site):
    async with site.events() as events:
        await anext(events)
        ada = await site.house.studio.person(Identity("discord", "", "ada"))
        await site.house.studio.draw(ada, Place("discord"), Imagine(f"a boat {QUICK}"), key="1")
        own = await site.draw(f"a red car {QUICK}")
        heard = [document["id"] async for name, document in _until_delivered(events) if name == "job"]
    assert set(heard) == {own["id"]}
    assert [job["id"] for job in (await site.ask("GET", "/api/jobs"))[1]["jobs"]] == [own["id"]]


async def test_a_download_has_a_name_that_no_prompt_made(site):
    job = await site.draw(f"../../etc/passwd {QUICK}")
    head = await _head(site, job["images"][0]["url"] + "?download=1")
    assert f'attachment; filename="limner-{job["id"]}-0.png"' in head


async def _head(site, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nConnection: close\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return head.decode()


async def test_health_names_bot_store_and_engine(site):
    _, health = await site.ask("GET", "/healthz")
    assert (health["status"], health["bot"], health["store"]) == ("ok", "ok", "ok")
    assert health["engine"]["state"] in ("starting", "ready")


async def test_models_say_which_are_here(site):
    await site.draw(f"a red car {QUICK}")
    _, answer = await site.ask("GET", "/api/models")
    assert (answer["default"], answer["models"][0]["name"], answer["models"][0]["is_here"]) == (
        "builtin",
        "builtin",
        True,
    )


async def test_a_port_in_use_is_a_sentence(site):
    with pytest.raises(CannotStart, match="LIMNER_WEB_PORT"):
        await serve(web.Application(), host="127.0.0.1", port=site.port)


async def test_the_server_stops_while_a_reader_listens(tmp_path):
    site = await OpenSite(tmp_path / "data").open()
    async with site.events() as events:
        await anext(events)
        await site.close()
    await site.open()
    assert (await site.ask("GET", "/healthz"))[0] == 200
    await site.close()


async def test_the_operator_gives_orders_on_the_page(site):
    async def order(text):
        return await site.ask("POST", "/api/commands", {"text": f"/limner-admin {text}"})

    status, answer = await order("quota default 30")
    assert (status, answer["answer"]["body"]) == (
        200,
        "everyone: default → 30 units a day · by the operator · logged #1",
    )
    _, answer = await order("audit --csv")
    assert [file["name"] for file in answer["answer"]["files"]] == ["limner-audit.csv"]
    status, answer = await order("quota default lots")
    assert (status, answer["error"]["code"]) == (400, "bad_option")


async def test_what_is_kept_is_shown_exported_and_erased(site):
    job = await site.draw("a zanzibar wombat --quality draft")
    _, shown = await site.ask("POST", "/api/commands", {"text": "/limner privacy show"})
    assert "Kept of you: 1 job, 1 picture" in shown["answer"]["body"]
    _, exported = await site.ask("POST", "/api/commands", {"text": "/limner privacy export"})
    [file] = exported["answer"]["files"]
    status, data = await site.ask("GET", file["url"])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert (status, set(archive.namelist())) == (200, {"limner.json", f"{job['id']}-0.png"})
    status, asked = await site.ask("POST", "/api/commands", {"text": "/limner privacy erase"})
    [action] = asked["error"]["actions"]
    assert (status, action["label"]) == (400, "Erase everything")
    status, erased = await site.ask("POST", "/api/commands", {"text": action["command"]})
    assert (status, "Erased." in erased["answer"]["body"]) == (200, True)
    assert (await site.ask("GET", "/api/jobs"))[1] == {"jobs": []}
    assert (await site.ask("GET", f"/api/jobs/{job['id']}"))[0] == 404
    assert not [file for file in site.data.rglob("*") if file.is_file() and b"zanzibar" in file.read_bytes()]
    await site.draw("a boat --quality draft")  # somebody new


async def test_what_nobody_may_draw_is_refused_on_the_page_too(site):
    status, refused = await site.ask("POST", "/api/commands", {"text": "a nude 12 year old"})
    assert (status, refused["error"]["code"]) == (403, "bad_words")
    assert "drawn nowhere" in refused["error"]["body"]


@pytest.mark.parametrize(
    "text", ["/limner privacy", "/limner privacy sell", "/limner privacy erase no", "/limner privacy show me now"]
)
async def test_privacy_takes_three_words_and_no_others(site, text):
    status, refused = await site.ask("POST", "/api/commands", {"text": text})
    assert (status, refused["error"]["code"]) == (400, "bad_option")


async def test_a_report_from_the_page_is_kept(site):
    job = await site.draw("a boat --quality draft")
    _, told = await site.ask("POST", f"/api/jobs/{job['id']}/report", {"index": 0})
    assert "Reported" in told["answer"]["body"]
    assert [report.job.id for report in await site.store.moderation.unsent()] == [job["id"]]


async def test_the_page_stands_when_the_parent_of_a_picture_is_forgotten(site):
    parent = await site.draw("a red car --seed 7")
    _, answer = await site.ask("POST", f"/api/jobs/{parent['id']}/reroll", {"index": 0})
    child = await site.end_of(answer["job"]["id"])
    older = "UPDATE jobs SET created_ms = created_ms - 1000 WHERE id = ?"
    await site.store._database.run(lambda conn: conn.execute(older, (parent["id"],)).close())
    await site.store.privacy.forget("jobs", (await site.store.job(child["id"])).created_ms)
    status, answer = await site.ask("GET", "/api/jobs")
    assert (status, [each["id"] for each in answer["jobs"]]) == (200, [child["id"]])
    async with site.events() as events, asyncio.timeout(5):
        assert (await anext(events))[0] == "state"
