"""stub"""
from needlepen.bench_page.workbench import Workbench


async def show(workbench: Workbench) -> None:
    pass
