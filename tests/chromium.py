"""Chromium without a window, where it is installed."""

import shutil
import tempfile

import pytest


class Chromium:
    """A browser; `driver` is that of Selenium."""

    def __init__(self):
        webdriver = pytest.importorskip("selenium.webdriver")
        binary = shutil.which("chromium") or shutil.which("chromium-browser")
        driver = shutil.which("chromedriver")
        if not binary or not driver:
            pytest.skip("no chromium and chromedriver to try it in")
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        self.profile = tempfile.mkdtemp()
        for argument in (
            "headless=new",
            "no-sandbox",
            "disable-gpu",
            "disable-dev-shm-usage",
            "disable-background-networking",
            "disable-component-update",
            "disable-sync",
            "no-first-run",
            f"user-data-dir={self.profile}",
        ):
            options.add_argument(f"--{argument}")
        kinds = {"browser": "ALL", "performance": "ALL"}
        options.set_capability("goog:loggingPrefs", kinds)
        service = webdriver.ChromeService(driver)
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_script_timeout(60)

    def quit(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)
