"""The technicians' page: a web page on this computer alone, with the same engines as the commands.

Nothing here decides anything about a pen: procedure, gauges, decision, database and certificate are those of
needlepen.calibration, the live view's words those of needlepen.monitor.
"""
