"""MicroPython runs this first: the loader chooses the program, `import` finds its modules from then on."""

import pen_loader

pen_loader.begin()
