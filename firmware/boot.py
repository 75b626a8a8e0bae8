"""MicroPython runs this first: the loader chooses the program, `import` finds its modules from then on."""

import micropython

micropython.kbd_intr(-1)  # nobody gets in before it is known what the kind of build allows (SR-25)

import pen_loader  # noqa: E402

pen_loader.begin()
del pen_loader
