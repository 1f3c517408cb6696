"""Faults to plant into a bot, which the harness must see."""

import asyncio
from typing import Any


def acknowledge_before_commit() -> None:
    """A person reads that it was accepted, and a moment later it is written."""
    from bot.discord.desk import Desk

    imagine = Desk.imagine

    async def too_early(self: Any, interaction: Any, *args: Any, **options: Any) -> None:
        await interaction.response.send_message("accepted")
        await asyncio.sleep(0.5)
        await imagine(self, interaction, *args, **options)

    Desk.imagine = too_early  # type: ignore[method-assign]


def send_without_nonce() -> None:
    from bot.discord import adapter

    adapter.nonce = lambda name: None  # type: ignore[assignment,return-value]


def charge_twice() -> None:
    from bot.store import ledger

    settle = ledger.settle

    def twice(conn: Any, job: str, *, charged_images: Any, units_per_image: int, at_ms: int) -> int:
        released = settle(conn, job, charged_images=charged_images, units_per_image=units_per_image, at_ms=at_ms)
        columns = [row["name"] for row in conn.execute("PRAGMA table_info(ledger)") if row["name"] != "id"]
        again = ", ".join("image_index + 100" if name == "image_index" else name for name in columns)
        charged = f"SELECT {again} FROM ledger WHERE job_id = ? AND kind = 'charge'"
        conn.execute(f"INSERT INTO ledger ({', '.join(columns)}) {charged}", (job,))
        return released

    ledger.settle = twice


FAULTS = {
    "acknowledge-before-commit": acknowledge_before_commit,
    "send-without-nonce": send_without_nonce,
    "charge-twice": charge_twice,
}
