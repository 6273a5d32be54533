"""The host's web pages: rendered here, readable without scripts, made livelier by one small script of our own."""

from fastapi import APIRouter

from podium.host.pages import competition, mine, organise, people

router = APIRouter(include_in_schema=False)
for part in (people, competition, mine, organise):
    router.include_router(part.router)
