"""One text from the first word to the files, as a person lives it."""

import pytest


async def test_from_a_text_to_the_files(app):
    stage = app.stage
    person = await stage.guest()
    hello = (await person.bot_texts())[0]
    assert "Anna" in hello
    assert "DEMO" in hello

    request, outline = await stage.outlined(person)
    assert "4 slides" in outline["text"]
    assert "Heading 1" in outline["text"]
    assert "4 credits" in outline["text"]
    assert "after it 6" in outline["text"]

    await person.presses(outline, "Make it")
    run = await app.dagster.run("carousel", request)
    assert run["tags"]["dagster/partition"] == request
    await person.sees("4 credits are set aside. You pay only")
    app.pipeline.progress(request, "pictures", 2, 4)
    await person.sees("Pictures 2/4")
    app.pipeline.deliver(request)
    control = await person.sees("4 credits charged, 6 left")
    await person.no_longer_sees("Your carousel")

    await person.presses(control, "Files")
    await person.sees(lambda message: message.get("document", {}).get("file_name") == "04_heading-4.jpg")
    assert app.pipeline.violations() == []
