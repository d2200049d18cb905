"""What order and time of turns show: late answers, unannounced holds, forced ends and transfers, unkept promises."""
